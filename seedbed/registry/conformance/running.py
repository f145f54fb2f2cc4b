"""What backends, monitors, exporters and deployers are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from seedbed.core.deployment import Deployer
from seedbed.core.errors import DeploymentError, SeedbedError, UsageError
from seedbed.core.protocols import Backend, Exporter, Monitor, Workplace
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.events import TERMINAL, EpochFinished, Event, TrialFailed
from seedbed.core.search.history import History
from seedbed.core.specs import BackendSpec, DeployerSpec, ExporterSpec, MonitorSpec
from seedbed.registry.conformance.base import SpecContract
from seedbed.registry.conformance.bundles import SIZE, untrained_bundle
from seedbed.registry.conformance.jobs import RUNNER, Behaviour, job_that
from seedbed.registry.conformance.samples import one_event_of_each_kind

SECONDS_TO_END = 60.0
SECONDS_TO_STOP = 15.0


class BackendContract(SpecContract):
    """`build(options, workplace)` gives a context manager that runs jobs and sends their events back.

    The jobs are the kit's own (see jobs.py), handed in through the field `runner` of the options. A backend
    whose options have none overrides `options`, so that its jobs run `seedbed.registry.conformance.jobs:run`.
    """

    kind = "backend"

    def options(self, spec: BackendSpec) -> Any:  # noqa: ANN401 - an instance of the spec's own options
        """Return the options to test with."""
        options = cast(Any, spec.options())
        assert any(field.name == "runner" for field in fields(options)), "override options() of this contract"
        return replace(options, runner=RUNNER)

    def build(self, spec: BackendSpec, folder: Path) -> Backend:
        """Build the backend for a run in `folder`."""
        return cast(Backend, self.load(spec)(self.options(spec), self.workplace(folder)))

    def workplace(self, folder: Path) -> Workplace:
        """Return where the jobs run."""
        registry = self.registry()
        return Workplace(folder=folder, lookup=registry, plugins=registry.plugins, workers=2, threads=1)

    def test_every_job_ends_in_one_terminal_event(self, spec: BackendSpec, tmp_path: Path) -> None:
        wanted: list[Behaviour] = ["finish", "fail", "finish", "finish"]
        with self.build(spec, tmp_path) as backend:
            events = _run_all(backend, [job_that(each, trial=n, folder=tmp_path) for n, each in enumerate(wanted)])
            assert backend.idle()
        for trial in range(len(wanted)):
            own = [event for event in events if getattr(event, "trial", None) == trial]
            assert [isinstance(event, TERMINAL) for event in own] == [False] * (len(own) - 1) + [True]

    def test_a_job_that_raises_has_failed_with_its_traceback(self, spec: BackendSpec, tmp_path: Path) -> None:
        with self.build(spec, tmp_path) as backend:
            *_, last = _run_all(backend, [job_that("fail", trial=7, folder=tmp_path)])
        assert isinstance(last, TrialFailed)
        assert last.trial == 7
        assert "the contract asked for this" in last.error
        assert "Traceback" in last.traceback
        assert "jobs.py" in last.traceback

    def test_a_job_ends_soon_when_it_is_asked_to(self, spec: BackendSpec, tmp_path: Path) -> None:
        with self.build(spec, tmp_path) as backend:
            _submit(backend, job_that("wait", trial=0, folder=tmp_path))
            _poll_until(backend, EpochFinished, SECONDS_TO_END)
            backend.stop(0)
            _poll_until(backend, TERMINAL, SECONDS_TO_STOP)
            assert backend.idle()

    def test_stopping_what_does_not_run_is_no_error(self, spec: BackendSpec, tmp_path: Path) -> None:
        with self.build(spec, tmp_path) as backend:
            backend.stop(99)
            assert backend.poll(0.0) == []

    def test_nothing_is_left_running(self, spec: BackendSpec, tmp_path: Path) -> None:
        this = psutil.Process()
        before = set(this.children(recursive=True))
        with self.build(spec, tmp_path) as backend:
            _submit(backend, job_that("wait", trial=0, folder=tmp_path))
            _poll_until(backend, EpochFinished, SECONDS_TO_END)
        began = set(this.children(recursive=True)) - before
        _, alive = psutil.wait_procs(began, timeout=2.0)
        assert not alive, f"still running after the backend was left: {alive}"


class MonitorContract(SpecContract):
    """`build(options, workplace)` gives a watcher of events; whatever comes, it copes."""

    kind = "monitor"

    def build(self, spec: MonitorSpec, folder: Path) -> Monitor:
        """Build the monitor with all options at their defaults, for a run in `folder`."""
        workplace = Workplace(folder=folder, lookup=self.registry(), budget_seconds=60.0)
        return cast(Monitor, self.load(spec)(spec.options(), workplace))

    def test_it_takes_every_event(self, spec: MonitorSpec, tmp_path: Path) -> None:
        self._show(spec, tmp_path, one_event_of_each_kind())

    def test_it_takes_events_in_any_order(self, spec: MonitorSpec, tmp_path: Path) -> None:
        for seed in range(5):
            events = one_event_of_each_kind()
            random.Random(seed).shuffle(events)
            self._show(spec, tmp_path, events)

    def test_it_takes_a_run_without_any_event(self, spec: MonitorSpec, tmp_path: Path) -> None:
        self._show(spec, tmp_path, [])

    def test_it_leaves_stdout_to_results(
        self, spec: MonitorSpec, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self._show(spec, tmp_path, one_event_of_each_kind())
        assert capfd.readouterr().out == "", "progress goes to stderr; stdout belongs to the results"

    def _show(self, spec: MonitorSpec, folder: Path, events: Iterable[Event]) -> None:
        """Show a monitor these events, and close it twice: an interrupted run may do that."""
        monitor, history = self.build(spec, folder), History()
        for event in events:
            history.apply(event)
            monitor.on_event(event, history)
        monitor.close()
        monitor.close()


class ExporterContract(SpecContract):
    """`build(options, lookup)` gives a function that writes a bundle as a file of another format."""

    kind = "exporter"

    def bundle(self, folder: Path) -> Path:
        """Return the folder of a bundle; files may be made below `folder`."""
        return untrained_bundle(folder, self.registry())

    def build(self, spec: ExporterSpec) -> Exporter:
        """Build the exporter with all options at their defaults."""
        return cast(Exporter, self.load(spec)(spec.options(), self.registry()))

    def test_it_writes_a_file(self, spec: ExporterSpec, tmp_path: Path) -> None:
        output = tmp_path / f"exported{spec.suffix}"
        written = self.build(spec)(self.bundle(tmp_path), output)
        assert written.is_file()
        assert written.stat().st_size > 0

    def test_it_leaves_the_bundle_as_it_was(self, spec: ExporterSpec, tmp_path: Path) -> None:
        bundle = self.bundle(tmp_path)
        before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
        self.build(spec)(bundle, tmp_path / f"exported{spec.suffix}")
        assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before

    def test_its_suffix_begins_with_a_dot(self, spec: ExporterSpec) -> None:
        assert spec.suffix.startswith("."), "as in .onnx"


class DeployerContract(SpecContract):
    """`build(options, report)` gives what serves a bundle elsewhere; it is tried in its rehearsal, for nothing."""

    kind = "deployer"

    def bundle(self, folder: Path) -> Path:
        """Return the folder of a bundle; files may be made below `folder`."""
        return untrained_bundle(folder, self.registry())

    def build(self, spec: DeployerSpec, report: Callable[[str], None]) -> Deployer:
        """Build the deployer."""
        return cast(Deployer, self.load(spec)(self.options(spec), report))

    def test_what_it_deploys_answers_and_is_gone_once_it_is_removed(self, spec: DeployerSpec, tmp_path: Path) -> None:
        told: list[str] = []
        bundle = self.bundle(tmp_path)
        before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
        with self.build(spec, told.append).rehearsing() as deployer:
            assert deployer.status("kit") is None
            first = deployer.deploy(bundle, "kit")
            assert first.is_ready
            assert told, "what it does takes minutes: it is to tell of it"
            again = deployer.deploy(bundle, "kit")
            assert (again.name, again.bundle) == (first.name, first.bundle), "the same once more changes nothing"
            rows = [[[128] * SIZE] * SIZE] * 2
            answer = json.loads(deployer.ask("kit", json.dumps({"instances": rows}).encode(), "application/json"))
            assert len(answer["predictions"]) == len(rows)
            with pytest.raises(DeploymentError):
                deployer.ask("kit", b"no JSON", "application/json")
            deployer.remove("kit")
            assert deployer.status("kit") is None
            with pytest.raises(UsageError):
                deployer.remove("kit")
        assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before

    def test_a_name_that_no_place_takes_is_refused_before_anything_is_made(
        self, spec: DeployerSpec, tmp_path: Path
    ) -> None:
        with pytest.raises(SeedbedError):
            self.build(spec, lambda line: None).deploy(self.bundle(tmp_path), "no name: / \\")


def _run_all(backend: Backend, jobs: list[TrialJob]) -> list[Event]:
    """Run jobs to their end and return all events, in order."""
    events: list[Event] = []
    waiting, limit = list(jobs), time.monotonic() + SECONDS_TO_END
    while waiting or not backend.idle():
        assert time.monotonic() < limit, f"not at the end after {SECONDS_TO_END:g} s; seen: {events}"
        while waiting and backend.free_slots() > 0:
            backend.submit(waiting.pop(0))
        events += backend.poll(0.1)
    return events


def _submit(backend: Backend, job: TrialJob) -> None:
    limit = time.monotonic() + SECONDS_TO_END
    while backend.free_slots() == 0:
        assert time.monotonic() < limit, f"no free slot after {SECONDS_TO_END:g} s"
        backend.poll(0.1)
    backend.submit(job)


def _poll_until(backend: Backend, wanted: type[Event] | tuple[type[Event], ...], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not any(isinstance(event, wanted) for event in backend.poll(0.1)):
        assert time.monotonic() < limit, f"no {wanted} after {seconds:g} s"
