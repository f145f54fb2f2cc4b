"""One candidate from its job to its terminal event."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import msgspec
import torch

from seedbed.core.data.splitting.splits import Splits
from seedbed.core.data.view import View
from seedbed.core.errors import NothingGained, OutOfTime, SeedbedError, TooLarge, TrialError
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.events import Event, TrialFailed, TrialFinished, TrialRefused, TrialStopped
from seedbed.core.specs import MetricSpec
from seedbed.core.training.assemble import make_view
from seedbed.core.training.context import Context, Result
from seedbed.core.training.decisions import Decisions, ScriptOver, ended_after
from seedbed.core.training.desk import Desk
from seedbed.core.training.devices import device_of, own_random, pick_device
from seedbed.core.training.evaluate import CutShort, Stop, Stopped
from seedbed.core.training.finetune import run_policy
from seedbed.core.training.footprint import Footprint, measure_footprint
from seedbed.core.training.keeping import end_with, read_end, remembered
from seedbed.core.training.member import Member, components_of
from seedbed.core.training.memory import is_out_of_memory, too_large
from seedbed.core.training.peaks import measured_memory, with_peaks
from seedbed.core.training.soup import blend_weights
from seedbed.core.training.subset import nested

log = logging.getLogger(__name__)

_LEAST_PIXELS = 32


def run_trial(
    job: TrialJob,
    emit: Callable[[Event], None],
    should_stop: Stop,
    desk: Desk,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Train one candidate; the events end with exactly one TrialFinished, TrialStopped, TrialRefused or TrialFailed.

    The same in this process, in a local worker and on any other machine: the job holds names and values,
    `desk.lookup` finds the code. Torch's random state is that of the job's seed while the trial runs, and
    what it was before when it has ended.
    """
    started = clock()
    folder = Path(job.folder)
    if (ended := read_end(job)) is not None:
        emit(ended)
        return
    context: Context | None = None
    end = partial(end_with, job, emit)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "candidate.json").write_bytes(msgspec.json.format(msgspec.json.encode(job.candidate)))
        device = pick_device(job.device)
        with measured_memory(device, job.memory_bytes), own_random(device), _threads_for(job):
            device_of(device).seed(job.seed)
            context = _open(job, with_peaks(emit, device), should_stop, desk, device, started, clock)
            result = blend_weights(context) if job.ingredients else run_policy(context)
            peak = device_of(device).peak_bytes()
            cost = measure_footprint(context, context.model)
        end(_finished(job, context, result, cost, peak))
    except Stopped:
        emit(_stopped(job, context, "stopped on request", clock() - started))  # and may go on elsewhere
    except CutShort as lag:
        end(_stopped(job, context, str(lag), clock() - started, is_cut=True))
    except (OutOfTime, ScriptOver) as error:
        if context is None or context.best_score is None:
            end(_failed(job, error, clock() - started))
            _note_error(folder)
        else:  # late, but not for nothing
            end(_stopped(job, context, "its time was over", clock() - started))
    except Exception as error:  # a candidate's code is a plugin's border: whatever it raises is this trial's end
        if isinstance(error, NothingGained):
            end(TrialRefused(trial=job.trial, reason=str(error), seconds=clock() - started))
            return
        if isinstance(error, TooLarge) or is_out_of_memory(error):
            end(_refused(job, context, error, clock() - started))
            return
        end(_failed(job, error, clock() - started))
        _note_error(folder)


def _open(
    job: TrialJob,
    emit: Callable[[Event], None],
    should_stop: Stop,
    desk: Desk,
    device: torch.device,
    started: float,
    clock: Callable[[], float],
) -> Context:
    lookup = desk.lookup
    view = _seen_at(make_view(job.candidate, job.profile, lookup), job.fidelity.resolution)
    member = Member(
        trial=job.trial, candidate=job.candidate, view=view, components=components_of(job.candidate, lookup)
    )
    member.save(Path(job.folder))
    spec = cast(MetricSpec, lookup.get("metric", job.profile.task.metric))
    deadline = _deadline(job, started)
    return Context(
        job=job,
        lookup=lookup,
        source=desk.open_source(job.profile.task.modality, job.data, job.tokens, device),
        splits=_learnt_from(desk.open_splits(job.splits), job.fidelity.subset),
        view=view,
        member=member,
        emit=emit,
        should_stop=_watch(should_stop, deadline, job.grace / 2, clock),
        generator=torch.Generator().manual_seed(job.seed),
        calibrations=desk.calibrations,
        compilations=desk.compilations,
        ring=desk.ring,
        metric=lookup.load(spec)(spec.options()),
        metric_spec=spec,
        started=started,
        deadline=deadline,
        clock=clock,
        decisions=Decisions(job.script, remembered(job)),
    )


def _learnt_from(splits: Splits, share: float) -> Splits:
    return replace(splits, train=nested(splits.train, splits, share))


def _seen_at(view: View, share: float) -> View:
    """Return the view at a share of its resolution, in steps of 16 px where it is that large."""
    wanted = share * view.resolution
    step = 16 if wanted >= _LEAST_PIXELS else 1
    return view if share >= 1.0 or not view.resolution else view.at(max(round(wanted / step) * step, 1))


@contextmanager
def _threads_for(job: TrialJob) -> Iterator[None]:
    """Compute with the job's threads, on a few hundred series or texts with one.

    How a sum is rounded depends on them. And there is nothing to share in tensors that small, and two threads that
    wait for each other on a busy machine take ten times as long as one.
    """
    before = torch.get_num_threads()
    if job.threads > 0 and job.threads != before:
        torch.set_num_threads(job.threads)
    if job.profile.folds and job.profile.task.modality != "image":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _deadline(job: TrialJob, started: float) -> float | None:
    """Return when the trial must be over, on its own clock; one that is done again has all the time it takes."""
    seconds = job.fidelity.seconds
    if seconds is not None and job.script is not None:
        return math.inf
    if seconds is not None and job.not_after is not None:
        seconds = min(seconds, job.not_after - time.time())
    return None if seconds is None else started + seconds


def _watch(should_stop: Stop, deadline: float | None, overtime: float, clock: Callable[[], float]) -> Stop:
    """Return a stop that also ends what runs past its time, before the backend has to do so by force."""
    if deadline is None:
        return should_stop

    def watched() -> bool:
        if clock() > deadline + overtime:
            raise OutOfTime("The trial's time was over before it had a result; give it more, or a smaller model.")
        return should_stop()

    return watched


def _finished(job: TrialJob, context: Context, result: Result, cost: Footprint, peak: int) -> TrialFinished:
    return TrialFinished(
        trial=job.trial,
        score=result.score,
        seconds=context.seconds,
        epochs=result.epochs,
        steps=result.steps,
        row_seconds=context.row_seconds,
        notes=tuple(context.notes),
        knows_valid=context.knows_valid,
        latency_p50=cost.latency_p50,
        latency_p95=cost.latency_p95,
        memory_bytes=cost.memory_bytes,
        size_bytes=cost.size_bytes,
        decisions=context.decisions.taken(),
        peak_bytes=peak,
    )


def _stopped(
    job: TrialJob, context: Context | None, reason: str, seconds: float, *, is_cut: bool = False
) -> TrialStopped:
    if context is not None and not is_cut:  # a bar ends it in the same place by itself
        context.decisions.note(ended_after(len(context.seen)), True)
    decisions = () if context is None else context.decisions.taken()
    return TrialStopped(trial=job.trial, reason=reason, seconds=seconds, is_cut=is_cut, decisions=decisions)


def _refused(job: TrialJob, context: Context | None, error: Exception, seconds: float) -> Event:
    """Say that the trial does not fit into memory; where that shows late, what it had reached is kept."""
    doing = "preparing the trial" if context is None else "the trial"
    reason = str(error if isinstance(error, TooLarge) else too_large(doing, error))
    if context is not None and context.best_score is not None:
        return _stopped(job, context, reason, seconds)
    return TrialRefused(trial=job.trial, reason=reason, seconds=seconds)


def _failed(job: TrialJob, error: Exception, seconds: float) -> TrialFailed:
    name = "" if isinstance(error, TrialError | SeedbedError) else f"{type(error).__name__}: "
    first_line = next(iter(str(error).splitlines()), "") or "no message"
    return TrialFailed(trial=job.trial, error=f"{name}{first_line}", traceback=traceback.format_exc(), seconds=seconds)


def _note_error(folder: Path) -> None:
    try:
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
    except OSError as error:
        log.warning("The traceback could not be written to %s: %s", folder, error)
