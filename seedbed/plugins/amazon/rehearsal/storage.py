"""What goes between a container's folders and S3: channels, checkpoints, artifacts."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from seedbed.plugins.amazon.rehearsal.container import Place
from seedbed.plugins.amazon.rehearsal.wire import Json, Refused


def split(uri: str) -> tuple[str, str]:
    """Bucket and key, or prefix, of `s3://bucket/key`.

    Raises: Refused, when it is none.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise Refused("ValidationException", f"The S3 URI {uri!r} is not of the form s3://bucket/prefix.")
    return bucket, key


def has_objects(s3: Any, uri: str) -> bool:  # noqa: ANN401 (boto3's clients have no types)
    """Whether anything lies below `uri`."""
    bucket, prefix = split(uri)
    try:
        return int(s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)["KeyCount"]) > 0
    except ClientError:
        return False


def download(s3: Any, uri: str, folder: Path) -> None:  # noqa: ANN401
    """Bring every object below `uri` into `folder`, by the rest of its key."""
    folder.mkdir(parents=True, exist_ok=True)
    bucket, prefix = split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            key = str(found["Key"])
            if key.endswith("/"):
                continue
            rest = key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]
            path = folder / rest
            if not path.resolve().is_relative_to(folder.resolve()):
                raise Refused("ValidationException", f"The key {key!r} leads out of its channel.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


class Mirror:
    """Keeps a prefix in S3 up with a folder, file by file, as the service does with /opt/ml/checkpoints.

    Files that vanish from the folder stay in S3, as there.
    """

    def __init__(self, s3: Any, folder: Path, uri: str) -> None:  # noqa: ANN401
        self._s3 = s3
        self._folder = folder
        self._bucket, prefix = split(uri)
        self._prefix = prefix.rstrip("/")
        self._seen: dict[Path, tuple[int, int]] = {}

    def restore(self) -> None:
        """Bring into the folder what S3 has; it counts as synced."""
        prefix = f"{self._prefix}/" if self._prefix else ""
        download(self._s3, f"s3://{self._bucket}/{prefix}", self._folder)
        for path in self._files():
            self._seen[path] = _mark(path)

    def sync(self) -> None:
        """Put up what has changed since the last time."""
        for path in self._files():
            try:
                mark, body = _mark(path), path.read_bytes()
            except FileNotFoundError:  # renamed or deleted meanwhile
                continue
            if self._seen.get(path) != mark:
                key = "/".join(filter(None, (self._prefix, path.relative_to(self._folder).as_posix())))
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
                self._seen[path] = mark

    def _files(self) -> list[Path]:
        return [path for path in sorted(self._folder.rglob("*")) if path.is_file()]


def _mark(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def upload_packed(s3: Any, folder: Path, uri: str) -> None:  # noqa: ANN401
    """Put the content of `folder` up as one .tar.gz."""
    bucket, key = split(uri)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    s3.put_object(Bucket=bucket, Key=key, Body=packed.getvalue())


def download_packed(s3: Any, uri: str, folder: Path) -> None:  # noqa: ANN401
    """Unpack a .tar.gz of S3 into `folder`."""
    bucket, key = split(uri)
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        archive.extractall(folder, filter="data")


def lay_out(request: Json, place: Place, s3: Any) -> None:  # noqa: ANN401
    """Fill /opt/ml/input of a training job: its channels, and what it may read about itself."""
    channels: Json = {}
    mode = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    for channel in request.get("InputDataConfig") or []:
        name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
        download(s3, source["S3Uri"], place.ml / "input/data" / name)
        channels[name] = {
            "ContentType": channel.get("ContentType"),
            "TrainingInputMode": channel.get("InputMode", mode),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    machine = (request.get("ResourceConfig") or {}).get("InstanceType", "ml.m5.large")
    group = {"instance_group_name": "homogeneousCluster", "instance_type": machine, "hosts": ["algo-1"]}
    resources = {
        "current_host": "algo-1",
        "current_instance_type": machine,
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
    files = {"hyperparameters": request.get("HyperParameters") or {}, "inputdataconfig": channels}
    for name, content in {**files, "resourceconfig": resources}.items():
        (place.ml / "input/config" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def failure(place: Place) -> str:
    """What a container wrote into output/failure."""
    with contextlib.suppress(OSError):
        return (place.ml / "output/failure").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def upload_results(request: Json, place: Place, s3: Any) -> str:  # noqa: ANN401
    """Put up model.tar.gz, and output.tar.gz where output/data holds anything; return the URI of the model."""
    base = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output"
    upload_packed(s3, place.ml / "model", f"{base}/model.tar.gz")
    if any((place.ml / "output/data").iterdir()):
        upload_packed(s3, place.ml / "output/data", f"{base}/output.tar.gz")
    return f"{base}/model.tar.gz"
