"""A run that is killed: submits a job, says when it has told of two looks, and waits for its end."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from plugins.fake_runners import trial_job
from plugins.training_jobs.conftest import OPTIONS

from seedbed.core.protocols import Workplace
from seedbed.core.search.events import EpochFinished
from seedbed.plugins.backends import SagemakerOptions
from seedbed.plugins.backends.sagemaker.backend import SagemakerBackend


def main(folder):
    job = trial_job(0, "count", gate=str(folder / "gate"))
    job = replace(job, data=str(folder / "data.txt"), splits="", folder=str(folder / "run" / "trials" / "0"))
    with SagemakerBackend(
        SagemakerOptions(**OPTIONS), Workplace(folder=folder / "run", lookup=None, threads=1)
    ) as found:
        found.submit(job)
        seen = 0
        while True:
            seen += sum(isinstance(each, EpochFinished) for each in found.poll(0.2))
            if seen == 2:
                (folder / "seen").write_text(json.dumps(seen))
            time.sleep(0.01)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
