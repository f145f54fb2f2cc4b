"""A hub on the loopback interface with one public and one gated data set."""

from __future__ import annotations

import http.server
import json

import datasets

SHA = "a" * 40
PUBLIC, GATED = "me/mine", "me/gated"
SET = {"text": ["a", "b", "c"], "label": [0, 1, 0]}
FILES = {
    "README.md": b"# Mine\n",
    "data/train.csv": b"text,label\n" + b"a good film,1\na bad film,0\n" * 10,
    "data/test.csv": b"text,label\n" + b"a film,1\n" * 4,
}


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers what the client asks for on its way to the files."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            self._send(200)
        elif GATED in path:
            self._send(403, {}, X_Error_Code="GatedRepo", X_Error_Message="Access restricted")
        elif PUBLIC not in path:
            self._send(401, {}, X_Error_Code="RepoNotFound", X_Error_Message="Repository Not Found")
        elif "/resolve/" in path:
            self._send_file(path.split("/resolve/")[1].split("/", 1)[1])
        elif "/tree/" in path:
            self._send_tree(path.split("/tree/")[1].partition("/")[2])
        else:
            files = [{"rfilename": name} for name in FILES]
            self._send(200, {"id": PUBLIC, "sha": SHA, "siblings": files, "private": False, "tags": []})

    def _send_file(self, name):
        if name in FILES:
            self._send(200, FILES[name], ETag=f'"{name}"', X_Repo_Commit=SHA, Accept_Ranges="bytes")
        else:
            self._send(404, {}, X_Error_Code="EntryNotFound", X_Repo_Commit=SHA)

    def _send_tree(self, folder):
        start = f"{folder}/" if folder else ""
        below = {name[len(start) :]: size for name, size in FILES.items() if name.startswith(start)}
        entries = [
            {"type": "file", "path": start + name, "size": len(content), "oid": "b" * 40}
            for name, content in below.items()
            if "/" not in name
        ]
        folders = sorted({name.split("/")[0] for name in below if "/" in name})
        entries += [{"type": "directory", "path": start + name, "oid": "c" * 40, "size": 0} for name in folders]
        self._send(200, entries) if below else self._send(404, {}, X_Error_Code="EntryNotFound")

    def _send(self, code, content=b"", **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serve():
    """Return a hub on a free port; it answers once `serve_forever` is called."""
    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)


def leave_in_cache(folder, name="me___mine", config="default", revision=SHA):
    """Leave in the library's cache what an earlier load of a data set leaves there."""
    target = folder / name / config / "0.0.0" / revision
    rows = datasets.Dataset.from_dict(SET)
    target.mkdir(parents=True)
    with datasets.arrow_writer.ArrowWriter(path=str(target / "mine-train.arrow"), features=rows.features) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize()
    info = datasets.DatasetInfo(
        features=rows.features,
        dataset_name="mine",
        config_name=config,
        version="0.0.0",
    )
    info.splits = datasets.splits.SplitDict(dataset_name="mine")
    info.splits.add(datasets.SplitInfo("train", num_examples=3, dataset_name="mine"))
    info.write_to_directory(str(target))
