"""`python -m seedbed.serving`: serve the bundle below `${SAGEMAKER_BASE_DIR:-/opt/ml}/model`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from seedbed.serving.server import serve_container

if __name__ == "__main__":
    sys.exit(serve_container(Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"), os.environ))
