"""A net that is really trained, on a machine that is taken away in the middle: it ends as if nothing had happened."""

import time
from dataclasses import replace

from plugins import gated_training
from plugins.following import SECONDS, job_names, looks, until
from plugins.really_trained import assert_ended_alike, trained

from seedbed.core.search.events import TERMINAL, EpochFinished


def test_a_reclaimed_machine_changes_nothing_in_the_end(service, backend, tmp_path):
    job, gate, whole = trained(tmp_path)
    with backend(runner="plugins.gated_training:run", spot=True) as found:
        found.submit(replace(job, folder=str(tmp_path / "there")))
        events = []
        while not [
            each for each in events if isinstance(each, EpochFinished) and each.progress >= gated_training.PROGRESS
        ]:
            until(found, EpochFinished, events)
        (name,) = job_names(events)
        service.reclaim_spot(name)
        limit = time.monotonic() + SECONDS
        while "Attempt 2 of" not in service.log(name):
            assert time.monotonic() < limit, service.log(name)
            time.sleep(0.05)
        gate.touch()
        until(found, TERMINAL, events)
    assert len(looks(events)) == len(set(looks(events)))
    assert_ended_alike(whole, events, tmp_path / "whole", tmp_path / "there")
