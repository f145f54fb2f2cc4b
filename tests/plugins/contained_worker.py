"""What runs in the containers of the rehearsal's tests: the container contract with the standard library alone.

Files in the folder that the hyperparameter `gates` names show a test how far it is (`epoch-N`), and hold it there
(`hold` = N: until `go` exists, or it hears SIGTERM).
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path

ML = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def train():
    given = json.loads((ML / "input/config/hyperparameters.json").read_text())
    stop = []
    if given.get("deaf") != "yes":
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    gates = Path(given["gates"]) if "gates" in given else None
    state = ML / "checkpoints/state.json"
    start = 0
    if state.exists():
        start = json.loads(state.read_text())["epoch"] + 1
        say(f"resumed at {start}")
    if "look" in given:
        look(gates)
    for epoch in range(start, int(given.get("epochs", "2"))):
        say(f"epoch={epoch} val_loss={(float(given.get('lr', '0.1')) - 0.3) ** 2 + 1 / (epoch + 1):.4f};")
        temporary = state.with_suffix(".tmp")
        temporary.write_text(json.dumps({"epoch": epoch}))
        temporary.replace(state)
        if gates is not None:
            (gates / f"epoch-{epoch}").touch()
        while given.get("hold") == str(epoch) and not (gates / "go").exists() and not stop:
            time.sleep(0.01)
        if given.get("crash") == str(epoch):
            (ML / "output/failure").write_text(f"boom at {epoch}")
            sys.exit(3)
        if stop:
            say("heard SIGTERM")
            break
    channels = ML / "input/data"
    rows = sum(len(path.read_text().splitlines()) for path in channels.rglob("*.csv"))
    (ML / "model/model.json").write_text(json.dumps({"rows": rows, "factor": float(given.get("lr", "0.1"))}))


def look(gates):
    """Write down what a container sees of the machine."""
    seen = {"pid": os.getpid(), "environment": dict(os.environ), "ml": sorted(path.name for path in ML.iterdir())}
    seen["resources"] = json.loads((ML / "input/config/resourceconfig.json").read_text())
    seen["channels"] = json.loads((ML / "input/config/inputdataconfig.json").read_text())
    seen["hosts"] = Path("/etc/hosts").read_text()
    (gates / "seen.json").write_text(json.dumps(seen))


def serve():
    model = json.loads((ML / "model/model.json").read_text())
    factor = model["factor"] * float(os.environ.get("TIMES", "1"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200, b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Type"] != "application/json":
                self.answer(415, b"only application/json")
            else:
                asked = json.loads(body)
                self.answer(200, json.dumps({"y": asked["x"] * factor, "accept": self.headers["Accept"]}).encode())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    {"train": train, "serve": serve}[sys.argv[1]]()
