"""One trial at work: its data, its clock, and the looks that keep the best checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from seedbed.core.data.batches import Images
from seedbed.core.data.splitting.split import Splits
from seedbed.core.data.view import View
from seedbed.core.protocols import Augmenter, Lookup, Metric
from seedbed.core.search.candidate import TrialJob
from seedbed.core.search.events import EpochFinished, Event
from seedbed.core.specs import MetricSpec
from seedbed.core.training.assemble import Classifier
from seedbed.core.training.evaluate import Stop, predict_rows
from seedbed.core.training.member import CHECKPOINT, PREDICTIONS, Member
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.predictions import Predictions

PLAIN = Numerics("float32", "channels_last")
"""What models are judged and used with: the same numbers on the leaderboard as in `predict`."""


@dataclass(slots=True, kw_only=True)
class Context:
    """What the policies of `finetune` work with; `look` and `finish` are the only ways to a result."""

    job: TrialJob
    lookup: Lookup
    images: Images
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
    look_seconds: float | None = None
    row_seconds: float = 0.0
    best_score: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the trial leaves its results."""
        return Path(self.job.folder)

    @property
    def device(self) -> torch.device:
        """Where the prepared images, and so the model, lie."""
        return self.images.pixels.device

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
        """Class indices of all rows, int64, on the CPU; -1 where a row is not used."""
        return torch.from_numpy(self.splits.targets)

    def look(
        self,
        model: Classifier,
        numerics: Numerics,
        *,
        epoch: float,
        progress: float,
        train_loss: float | None = None,
        lr: float = 0.0,
    ) -> None:
        """Score the model on the validation part, keep it if it is the best so far, and say so."""
        began = self.clock()
        probabilities = predict_rows(
            model, self.images, self.valid_rows, self.view, numerics, should_stop=self.should_stop
        )
        score, loss = self._judge(probabilities)
        is_best = self._is_kept(score, is_last=progress >= 1.0)
        if is_best:
            self.best_score = score
            self._keep(model, probabilities)
        # The least so far: the first look also pays for memory and kernel selection.
        self.look_seconds = min(self.clock() - began, self.look_seconds or math.inf)
        self.emit(
            EpochFinished(
                trial=self.job.trial,
                epoch=epoch,
                progress=progress,
                train_loss=train_loss,
                valid_loss=loss,
                score=score,
                seconds=self.seconds,
                is_best=is_best,
                lr=lr,
            )
        )

    def finish(self, model: Classifier, augmenters: Sequence[Augmenter]) -> float:
        """Judge the kept checkpoint as `predict` will use it, decide on test-time views, return the score."""
        PLAIN.lay_out_model(model)
        model.load_state_dict(load_file(self.folder / CHECKPOINT, device=str(self.device)))
        began = self.clock()
        plain = predict_rows(model, self.images, self.valid_rows, self.view, PLAIN, should_stop=self.should_stop)
        score, loss = self._judge(plain)
        kept = plain
        self.row_seconds = (self.clock() - began) / len(self.valid_rows)
        if _has_views(augmenters) and self._has_time_for_views():
            began = self.clock()
            averaged = predict_rows(
                model,
                self.images,
                self.valid_rows,
                self.view,
                PLAIN,
                augmenters=augmenters,
                should_stop=self.should_stop,
            )
            averaged_score, averaged_loss = self._judge(averaged)
            if averaged_loss < loss:
                score, kept = averaged_score, averaged
                self.member = replace(self.member, test_time_views=True)
                self.row_seconds = (self.clock() - began) / len(self.valid_rows)
        self._save_predictions(kept)
        self.member.save(self.folder)
        return score

    def finish_seconds(self, augmenters: Sequence[Augmenter]) -> float:
        """Estimate how long `finish` takes, and the scoring of the rows that come after the trial.

        Full precision takes up to twice as long as a look, and the views double that. The estimate may be
        off where others use the machine, so it never claims more than two fifths of the trial.
        """
        views = 2.0 if _has_views(augmenters) else 0.0
        after = max(views, 1.0) * self.job.rows_after / len(self.valid_rows)
        estimate = (self.look_seconds or 0.0) * 2.0 * (1.0 + views + after) + 0.2
        return estimate if self.deadline is None else min(estimate, 0.4 * (self.deadline - self.started))

    def _has_time_for_views(self) -> bool:
        return self.deadline is None or self.clock() + 3 * len(self.valid_rows) * self.row_seconds < self.deadline + 1

    def _judge(self, probabilities: Tensor) -> tuple[float, float]:
        targets = self.splits.targets[self.splits.valid]
        loss = F.nll_loss(probabilities.clamp_min(1e-7).log(), torch.from_numpy(targets))
        return float(self.metric(targets, probabilities.numpy())), float(loss)

    def _is_kept(self, score: float, *, is_last: bool) -> bool:
        """Whether this checkpoint replaces the kept one: if it is as good, or the annealed end of the
        schedule within one standard error (the earlier peak is then mostly luck)."""
        if self.best_score is None:
            return True
        sign = 1.0 if self.metric_spec.direction == "max" else -1.0
        slack = math.sqrt(max(score * (1 - score), 0.0) / len(self.splits.valid)) if 0 <= score <= 1 else 0.0
        return sign * (score - self.best_score) >= (-slack if is_last else 0.0)

    def _keep(self, model: Classifier, probabilities: Tensor) -> None:
        partial = self.folder / f"{CHECKPOINT}.partial"
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial)
        self._save_predictions(probabilities)
        partial.replace(self.folder / CHECKPOINT)

    def _save_predictions(self, probabilities: Tensor) -> None:
        rows = self.splits.valid
        predictions = Predictions(
            rows=rows,
            targets=self.splits.targets[rows],
            probabilities=probabilities.numpy().astype(np.float32, copy=False),
        )
        predictions.save(self.folder / PREDICTIONS)


def _has_views(augmenters: Sequence[Augmenter]) -> bool:
    return any(callable(getattr(each, "views", None)) for each in augmenters)
