"""One trial at work: its data, its clock, and the looks that keep the best checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedbed.core.data.feeding.source import Source
from seedbed.core.data.splitting.split import Splits
from seedbed.core.data.view import View
from seedbed.core.protocols import Augmenter, Lookup, Metric
from seedbed.core.search.candidate import SCORING_TO_SPARE, TrialJob
from seedbed.core.search.events import EpochFinished, Event
from seedbed.core.specs import MetricSpec
from seedbed.core.task import written
from seedbed.core.training.assemble import Net
from seedbed.core.training.compiling import Compilation
from seedbed.core.training.decisions import Decisions
from seedbed.core.training.evaluate import CutShort, Stop, predict_rows
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS, Member
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.outputs import loss_targets, mean_loss
from seedbed.core.training.parallel import Ring
from seedbed.core.training.predictions import Predictions

PLAIN = Numerics("float32", "channels_last")
"""What models are judged and used with: the same numbers on the leaderboard as in `predict`."""

LOOKS = 10
LOOK_SHARE = 0.15
"""Of a trial's time, what looks may take; where one takes long there are fewer of them."""

MEASURING_SHARE = 0.1
"""Of the time left, after which nothing more is measured by which to choose a precision: a net may be very slow."""

_NO_LOSS = 0.002
"""A mean loss, in nats or squared deviations, of which nothing can be seen in any answer."""

ENDING_SHARE = 0.4
"""Of a trial's time, what its end and the scoring after it may claim: estimates go wrong on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the training of a candidate achieved."""

    score: float
    epochs: float
    steps: int


@dataclass(slots=True, kw_only=True)
class Context:
    """What the policies of `finetune` work with; `look` and `finish` are the only ways to a result.

    Where trials are judged over folds, each fold has a context of its own, and so has the last training, on
    all rows, which has no validation part (see `folds`).
    """

    job: TrialJob
    lookup: Lookup
    source: Source
    splits: Splits
    view: View
    member: Member
    emit: Callable[[Event], None]
    should_stop: Stop
    generator: torch.Generator
    calibrations: dict[object, Numerics]
    metric: Metric
    metric_spec: MetricSpec
    started: float
    deadline: float | None
    """When the trial must be over, on its own clock; None without a time limit."""
    clock: Callable[[], float] = time.monotonic
    looks: int = LOOKS
    tells: bool = True
    """Whether events are sent: the curve of one fold tells of all."""
    keeps_last: bool = False
    """Whether the last checkpoint is kept in place of the best: on a fold's few rows the best is luck."""
    look_seconds: float | None = None
    row_seconds: float = 0.0
    best_score: float | None = None
    judged: Predictions | None = None
    """What was said of rows that are learnt from now, before they were: what `finish` holds the model to, if all rows
    are learnt from and none is left to judge by."""
    knows_valid: bool = False
    """Whether the kept model has learnt from the validation rows since it was judged by them."""
    got_worse: bool = False
    """Whether the model says less of those rows, as `finish` found."""
    exact: np.ndarray | None = None
    """What the kept checkpoint predicts of the validation part as `finish` would compute it, where that is known."""
    model: Net | None = None
    """The net that was finished last."""
    ring: Ring | None = None
    """The processes that share the trial, if it has several."""
    compilations: dict[Hashable, Compilation] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    decisions: Decisions = field(default_factory=Decisions)
    seen: list[float] = field(default_factory=list)
    """The scores of all looks so far, those of all folds together."""
    passed: float = 0.0

    @property
    def folder(self) -> Path:
        """Where the trial leaves its results."""
        return Path(self.job.folder)

    @property
    def device(self) -> torch.device:
        """Where the stored rows, and so the model, lie."""
        return self.source.device

    @property
    def seconds(self) -> float:
        """The trial's age."""
        return self.clock() - self.started

    @property
    def train_rows(self) -> Tensor:
        """Row numbers (N,) int64 of the training part, on the CPU."""
        return torch.from_numpy(self.splits.train)

    @property
    def valid_rows(self) -> Tensor:
        """Row numbers (M,) int64 of the validation part, on the CPU."""
        return torch.from_numpy(self.splits.valid)

    @property
    def targets(self) -> Tensor:
        """What is to be learnt of all rows, in the form that the loss takes, on the CPU."""
        return loss_targets(self.splits.targets, self.job.profile)

    def look(
        self,
        model: Net,
        numerics: Numerics,
        *,
        epoch: float,
        progress: float,
        train_loss: float | None = None,
        lr: float = 0.0,
        state: Mapping[str, Tensor] | None = None,
    ) -> float | None:
        """Score the model on the validation part, keep it if it is the best so far, say so, return the score.

        With `state`, the model is judged and kept with these weights. Without a validation part there is
        nothing to say: only the last state is kept.
        """
        with _wearing(model, state):
            if not len(self.valid_rows):
                if progress >= 1.0:
                    self._save_state(model)
                return None
            began = self.clock()
            predictions = self._predict(model, numerics)
            score, loss = self._judge(predictions)
            is_best = self._is_kept(score, is_last=progress >= 1.0)
            if is_best:
                self.best_score = score
                self._save_state(model)
                self._save_predictions(predictions)
                self.exact = predictions if numerics == PLAIN else None
        # The least so far: the first look also pays for memory and kernel selection.
        self.look_seconds = min(self.clock() - began, self.look_seconds or math.inf)
        if self.tells:
            self.emit(
                EpochFinished(
                    trial=self.job.trial,
                    epoch=epoch,
                    progress=progress,
                    train_loss=train_loss,
                    valid_loss=loss,
                    score=score,
                    seconds=self.seconds,
                    is_best=is_best and not self.keeps_last,  # a fold's checkpoint is no trial's
                    lr=lr,
                    decisions=self.decisions.taken(),
                )
            )
        self.seen.append(score)
        self._judge_by_cuts(progress)
        self.decisions.end_where_ended(len(self.seen))
        return score

    def _judge_by_cuts(self, progress: float) -> None:
        """End the trial where it has not reached by now what its fidelity asks for."""
        worths = [self.job.profile.task.worth(each) for each in self.seen]
        for cut in self.job.fidelity.cuts:
            if self.passed < cut.progress <= progress and max(worths) < self.job.profile.task.worth(cut.score):
                raise CutShort(
                    f"{written(max(self.seen, key=self.job.profile.task.worth))} at {progress:.0%} of the training, "
                    f"where {written(cut.score)} was asked for"
                )
        self.passed = progress

    def finish(self, model: Net, augmenters: Sequence[Augmenter]) -> float:
        """Judge the kept checkpoint as `predict` will use it, decide on test-time views, return the score.

        Without a validation part there is none, NaN; it is only seen to that nothing got worse.
        """
        self.member.save(self.folder)
        self.model = model
        if not len(self.valid_rows) and self.judged is None:
            return math.nan
        PLAIN.lay_out_model(model)
        model.load_state_dict(load_file(self.folder / CHECKPOINT))
        if self.judged is not None:
            self.got_worse = self._is_worse(model, augmenters, self.judged)
            return math.nan
        began = self.clock()
        kept = self._predict(model, PLAIN) if self.exact is None else self.exact
        score, loss = self._judge(kept)
        took = self.clock() - began if self.exact is None else self.look_seconds or 0.0
        self.row_seconds = took / len(self.valid_rows)
        if _has_views(augmenters) and self.decisions.decide("views", self._has_time_for_views):
            began = self.clock()
            averaged = self._predict(model, PLAIN, augmenters)
            averaged_score, averaged_loss = self._judge(averaged)
            if averaged_loss < loss:
                score, kept = averaged_score, averaged
                self.member = replace(self.member, test_time_views=True)
                self.row_seconds = (self.clock() - began) / len(self.valid_rows)
        self._save_predictions(kept)
        self.member.save(self.folder)
        return score

    def keep(self, model: Net) -> None:
        """Make this state of the model the kept one, whatever was kept; `finish` judges it anew."""
        self._save_state(model)
        self.exact = None

    def affordable_looks(self) -> int:
        """Return how many looks the time allows over the whole of a training, as far as the last one tells."""
        if self.deadline is None or self.look_seconds is None:
            return self.looks
        return self.decisions.decide("looks", self._looks_in_time)

    def _looks_in_time(self) -> int:
        if self.deadline is None or self.look_seconds is None:
            return self.looks
        most = LOOK_SHARE * (self.deadline - self.started) / max(self.look_seconds, 1e-9)
        return max(min(int(most), self.looks), 1)

    def scoring_seconds(self) -> float:
        """Estimate how long the rows take that are scored after the trial, with some to spare; 0 before a `finish`."""
        return SCORING_TO_SPARE * self.row_seconds * self.job.rows_after

    def finish_seconds(self, augmenters: Sequence[Augmenter], numerics: Numerics) -> float:
        """Estimate how long `finish` takes, and the scoring of the rows that come after the trial.

        Full precision takes up to three times as long as a look in a lower one, and views double that.
        """
        if not len(self.valid_rows):
            checked = 0 if self.judged is None else len(self.judged)
            return self.scoring_seconds() + self.row_seconds * checked + 0.2
        views = 2.0 if _has_views(augmenters) else 0.0
        after = SCORING_TO_SPARE * max(views, 1.0) * self.job.rows_after / max(len(self.valid_rows), 1)
        slower = 1.2 if numerics == PLAIN else 3.0
        estimate = (self.look_seconds or 0.0) * slower * (1.0 + views + after) + 0.3
        return estimate if self.deadline is None else min(estimate, ENDING_SHARE * (self.deadline - self.started))

    def measured(self, measure: Callable[[float], Numerics]) -> Numerics:
        """Return the precision and memory format that `measure`, given the seconds it may take, finds the fastest."""
        left = math.inf if self.deadline is None else self.deadline - self.clock()
        return Numerics.parse(self.decisions.decide("numerics", lambda: str(measure(MEASURING_SHARE * left))))

    def _is_worse(self, model: Net, augmenters: Sequence[Augmenter], judged: Predictions) -> bool:
        views = augmenters if self.member.test_time_views else ()
        outputs = self._predict(model, PLAIN, views, torch.from_numpy(judged.rows))
        profile = self.job.profile
        before, after = (mean_loss(judged.targets, each, profile) for each in (judged.outputs, outputs))
        return not after <= before + _NO_LOSS

    def _predict(
        self, model: Net, numerics: Numerics, augmenters: Sequence[Augmenter] = (), rows: Tensor | None = None
    ) -> np.ndarray:
        return predict_rows(
            model,
            self.source,
            self.valid_rows if rows is None else rows,
            self.view,
            numerics,
            self.job.profile,
            augmenters=augmenters,
            should_stop=self.should_stop,
        ).numpy()

    def has_time_for(self, what: str, seconds: Callable[[], float]) -> bool:
        """Whether so much is left of the trial's time; `what` it is for."""
        if self.deadline is None:
            return True
        end = self.deadline
        return self.decisions.decide(what, lambda: self.clock() + seconds() < end)

    def _has_time_for_views(self) -> bool:
        return self.deadline is None or self.clock() + 3 * len(self.valid_rows) * self.row_seconds < self.deadline + 1

    def _judge(self, predictions: np.ndarray) -> tuple[float, float]:
        targets = self.splits.targets[self.splits.valid]
        return float(self.metric(targets, predictions)), mean_loss(targets, predictions, self.job.profile)

    def _is_kept(self, score: float, *, is_last: bool) -> bool:
        """Whether this checkpoint replaces the kept one: if it is as good, or the annealed end of the
        schedule within one standard error (the earlier peak is then mostly luck)."""
        if self.keeps_last:
            return is_last
        if self.best_score is None:
            return True
        sign = 1.0 if self.metric_spec.direction == "max" else -1.0
        is_share = sign > 0 and self.splits.kind != "regression" and 0 <= score <= 1
        slack = math.sqrt(max(score * (1 - score), 0.0) / len(self.splits.valid)) if is_share else 0.0
        return sign * (score - self.best_score) >= (-slack if is_last else 0.0)

    def _save_state(self, model: Net) -> None:
        partial = self.folder / f"{CHECKPOINT}.partial"
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial)
        partial.replace(self.folder / CHECKPOINT)

    def _save_predictions(self, predictions: np.ndarray) -> None:
        rows = self.splits.valid
        Predictions(rows=rows, targets=self.splits.targets[rows], outputs=predictions).save(self.folder / PREDICTIONS)


@contextmanager
def _wearing(model: nn.Module, state: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Give a model other weights for a while."""
    if state is None:
        yield
        return
    own = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    try:
        yield
    finally:
        model.load_state_dict(own)


def _has_views(augmenters: Sequence[Augmenter]) -> bool:
    return any(callable(getattr(each, "views", None)) for each in augmenters)
