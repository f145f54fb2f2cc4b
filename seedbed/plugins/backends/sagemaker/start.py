"""The first thing in the container: unpacks the code of the study beside itself and runs it, in the same process.

Standard library alone, and no import of Seedbed: it is not there yet.
"""

import os
import runpy
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def _fail(words: str) -> None:
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    (base / "output").mkdir(parents=True, exist_ok=True)
    (base / "output" / "failure").write_text(words[:1024], encoding="utf-8")
    sys.exit(words)


def _main() -> None:
    place = Path(tempfile.mkdtemp(prefix="seedbed-code-"))
    with tarfile.open(HERE / "seedbed.tar.gz") as archive:
        archive.extractall(place, filter="data")
    wanted = HERE / "requirements.txt"
    if wanted.exists():
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-r", str(wanted)], check=False)
        if done.returncode:
            _fail(f"pip cannot install what Seedbed needs (exit code {done.returncode}); see the log of this job.")
    sys.path.insert(0, str(place))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))
    try:
        runpy.run_module("seedbed.container", run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        _fail(
            f"{error}: the image lacks a package that Seedbed needs; take an image with it, "
            "or --set backend.sagemaker.install=true to install all at each start."
        )


if __name__ == "__main__":
    _main()
