"""What travels between this machine and the bucket: the code and data of a study, once; the files of its trials."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path

import seedbed
from seedbed.core.errors import UsageError
from seedbed.plugins.amazon.account import Account
from seedbed.plugins.backends.files import beside, files_of, key_of, put_in_place

CODE, REQUIREMENTS, START = "seedbed.tar.gz", "requirements.txt", "start.py"

_NOT_SHIPPED = ("__pycache__", ".pyc")


class Courier:
    """Uploads each thing once in the life of a study, whoever asks first; any thread may ask."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._s3 = account.client("s3")
        self._lock = threading.Lock()
        self._there: dict[tuple[Path, str], str] = {}

    def send(self, path: Path) -> str:
        """Upload a file or folder below a key made of its content's sizes and times; return its address."""
        with self._lock:
            key = key_of(path)
            found = self._there.get((path, key))
            if found is None:
                prefix = self._account.key("data", key)
                there = self._sizes(prefix)
                for file in files_of(path):
                    name = file.name if file == path else file.relative_to(path).as_posix()
                    if there.get(f"{prefix}/{name}") != file.stat().st_size:
                        self._s3.upload_file(str(file), self._account.bucket, f"{prefix}/{name}")
                found = self._there[(path, key)] = f"s3://{self._account.bucket}/{prefix}/"
            return found

    def send_code(self, plugins: Sequence[str], *, install: bool) -> str:
        """Upload this very Seedbed, and plugins that are local files; return the address."""
        with self._lock:
            package = _package()
            parts = {CODE: package, START: Path(__file__).with_name(START).read_bytes()}
            for plugin in map(Path, plugins):
                if plugin.suffix == ".py":
                    if plugin.name in parts:
                        raise UsageError(f"Two plugins are called {plugin.name}; a job has one folder for them.")
                    parts[plugin.name] = plugin.read_bytes()
            if install:
                parts[REQUIREMENTS] = _requirements()
            digest = hashlib.sha256(b"\0".join(name.encode() + b"\0" + parts[name] for name in sorted(parts)))
            prefix = self._account.key("code", digest.hexdigest()[:16])
            there = self._sizes(prefix)
            for name, content in parts.items():
                if there.get(f"{prefix}/{name}") != len(content):
                    self._s3.put_object(Bucket=self._account.bucket, Key=f"{prefix}/{name}", Body=content)
            return f"s3://{self._account.bucket}/{prefix}/"

    def put(self, content: bytes, *parts: str) -> None:
        """Write one object."""
        self._s3.put_object(Bucket=self._account.bucket, Key=self._account.key(*parts), Body=content)

    def fetch(self, target: Path, *parts: str, without: Sequence[str] = ()) -> bool:
        """Bring all that lies below a key into a folder, whole or not at all; say whether there was anything.

        Folders of these names, directly below the key, stay where they are.
        """
        prefix = self._account.key(*parts) + "/"
        partial = beside(target)
        found = False
        try:
            for key in self._sizes(prefix):
                file = partial / key.removeprefix(prefix)
                name = key.removeprefix(prefix)
                if name.partition("/")[0] in without:
                    continue
                if key.endswith("/") or not file.resolve().is_relative_to(partial.resolve()):
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(self._account.bucket, key, str(file))
                found = True
            if found:
                put_in_place(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return found

    def read(self, uri: str) -> bytes:
        """Read one object by its address."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def _sizes(self, prefix: str) -> dict[str, int]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._account.bucket, Prefix=prefix)
        return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}


def unpack(archive: bytes, target: Path) -> None:
    """Put what a model.tar.gz holds into a folder, whole or not at all."""
    partial = beside(target)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(partial, filter="data")
        put_in_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _package() -> bytes:
    """Return this Seedbed as an archive of equal bytes each time."""
    root = Path(os.fspath(seedbed.__file__)).parent
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as archive:
        for file in _shipped(root):
            entry = tarfile.TarInfo(f"seedbed/{file.relative_to(root).as_posix()}")
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(entry, content)
    return buffer.getvalue()


def _shipped(root: Path) -> Iterator[Path]:
    return (each for each in files_of(root) if not any(part in str(each) for part in _NOT_SHIPPED))


def _requirements() -> bytes:
    """Return what this installation of Seedbed needs, with the versions that are here."""
    here = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in distributions()}
    own = next(each for each in distributions(name="seedbed"))
    lines = []
    for requirement in own.requires or []:
        if "extra ==" in requirement:
            continue
        name = requirement.split(";")[0]
        for sign in "<>=!~[ ":
            name = name.split(sign)[0]
        version = here.get(name.strip().lower().replace("_", "-"))
        lines.append(f"{name.strip()}=={version}" if version else requirement)
    return "\n".join(sorted(lines)).encode()
