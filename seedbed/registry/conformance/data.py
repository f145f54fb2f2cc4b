"""What readers, checks and metrics are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from seedbed.core.data.check import input_of
from seedbed.core.data.dataset import Dataset, Part, ReadContext, Table
from seedbed.core.data.features import Features
from seedbed.core.data.profile import Finding
from seedbed.core.data.repair import Repair, repaired
from seedbed.core.errors import DataError, UnknownName
from seedbed.core.protocols import Check, CheckInput, FolderReader, Metric, Reader
from seedbed.core.specs import CheckSpec, MetricSpec, ReaderSpec, Severity
from seedbed.registry.conformance.base import SpecContract
from seedbed.registry.conformance.pictures import prepare_pictures, write_pictures

if TYPE_CHECKING:
    import numpy as np

    from seedbed.core.data.prepared import Prepared


class ReaderContract(SpecContract):
    """`build(options)` gives a reader: an address becomes a table, or a dataset where the form leaves no choice.

    A reader of image folders is tested with one that the kit makes; for any other, override `source`.
    """

    kind = "reader"

    def source(self, spec: ReaderSpec, folder: Path) -> str:
        """Return an address that this reader can read; files may be made below `folder`."""
        if spec.folders:
            return str(write_pictures(folder / "pictures"))
        raise NotImplementedError(f"override source() to say what {spec.name!r} can read")

    def missing(self, spec: ReaderSpec, folder: Path) -> str:
        """Return an address of the right form with nothing behind it."""
        if spec.schemes:
            return f"{spec.schemes[0]}:there_is_no_such_thing"
        return str(folder / f"missing{spec.suffixes[0] if spec.suffixes else ''}")

    def build(self, spec: ReaderSpec) -> Reader:
        """Build the reader with all options at their defaults."""
        return cast(Reader, self.load(spec)(spec.options()))

    def read(self, spec: ReaderSpec, folder: Path, source: str | None = None) -> Table | Dataset:
        """Read an address as the engine does, without the network."""
        context = ReadContext(cache=folder / "cache", offline=True)
        return self.build(spec).read(self.source(spec, folder) if source is None else source, context)

    def test_it_can_be_found_by_an_address(self, spec: ReaderSpec) -> None:
        assert spec.suffixes or spec.schemes or spec.folders, "no address leads to it"
        assert all(suffix.startswith(".") for suffix in spec.suffixes), "a suffix begins with a dot"

    def test_it_gives_rows_of_the_agreed_form(self, spec: ReaderSpec, tmp_path: Path) -> None:
        found = self.read(spec, tmp_path)
        assert isinstance(found, Dataset | Table)
        assert len(found) > 0
        assert found.name == Path(found.name).name, "the name becomes a folder's"
        if isinstance(found, Table):
            assert set(found.rows.column_names) >= set(found.schema.columns), "its schema names columns there are not"
        else:
            assert set(found.rows.column_names) >= {found.modality, "target", "part"}
            assert set(found.rows["part"]) <= set(get_args(Part))
            assert all(target is not None for target in found.rows["target"])

    def test_its_rows_keep_their_order(self, spec: ReaderSpec, tmp_path: Path) -> None:
        source = self.source(spec, tmp_path)
        one, other = self.read(spec, tmp_path, source), self.read(spec, tmp_path, source)
        assert one.rows.to_dict() == other.rows.to_dict(), "two reads of one address differ"

    def test_a_missing_source_is_bad_data(self, spec: ReaderSpec, tmp_path: Path) -> None:
        with pytest.raises((DataError, UnknownName)):
            self.read(spec, tmp_path, self.missing(spec, tmp_path))

    def test_it_recognises_its_own_folders(self, spec: ReaderSpec, tmp_path: Path) -> None:
        if spec.folders:
            reader, empty = cast(FolderReader, self.build(spec)), tmp_path / "empty"
            empty.mkdir()
            assert reader.recognises(Path(self.source(spec, tmp_path)))
            assert not reader.recognises(empty), "nothing is there to be recognised"


class CheckContract(SpecContract):
    """`build(options)` gives a check: a dataset and its prepared form → findings, with repairs or without.

    The kit's data are images; for a check of other data, override `data`.
    """

    kind = "check"

    def data(self, folder: Path) -> tuple[Dataset, Prepared]:
        """Return a clean dataset; files may be made below `folder`."""
        return prepare_pictures(folder)

    def given(self, spec: CheckSpec, folder: Path) -> CheckInput:
        """Return what the check may look at, with made-up features where it asks for them."""
        import numpy as np

        given = input_of(*self.data(folder))
        if not spec.features:
            return given
        values = np.random.default_rng(0).normal(size=(len(given.targets), 8)).astype(np.float32)
        return replace(given, features=Features(rows=np.arange(len(values)), values=values, source="noise"))

    def build(self, spec: CheckSpec) -> Check:
        """Build the check with all options at their defaults."""
        return cast(Check, self.load(spec)(spec.options()))

    def test_it_has_no_serious_complaint_about_clean_data(self, spec: CheckSpec, tmp_path: Path) -> None:
        for found in self.build(spec)(self.given(spec, tmp_path)):
            finding = _told(found)
            assert isinstance(finding, Finding)
            assert finding.severity in get_args(Severity)
            assert finding.severity != "error", f"clean data: {finding.evidence}"
            assert finding.evidence.strip(), "say what was seen"

    def test_it_changes_nothing(self, spec: CheckSpec, tmp_path: Path) -> None:
        given = self.given(spec, tmp_path)
        rows, files = given.dataset.rows.to_dict(), _files(tmp_path)
        list(self.build(spec)(given))
        assert given.dataset.rows.to_dict() == rows
        assert _files(tmp_path) == files

    def test_it_finds_the_same_again(self, spec: CheckSpec, tmp_path: Path) -> None:
        given = self.given(spec, tmp_path)
        one, other = list(self.build(spec)(given)), list(self.build(spec)(given))
        assert [_told(each) for each in one] == [_told(each) for each in other]

    def test_its_repairs_fit_the_data(self, spec: CheckSpec, tmp_path: Path) -> None:
        given = self.given(spec, tmp_path)
        repaired(self.build(spec)(given), given.targets, given.prepared.usable(), "all")


def _told(found: Finding | Repair) -> Finding:
    return found.finding if isinstance(found, Repair) else found


class MetricContract(SpecContract):
    """`build(options)` gives a score: (targets, predictions) → float, better in the declared direction."""

    kind = "metric"

    def build(self, spec: MetricSpec) -> Metric:
        """Build the metric as `options(spec)` says."""
        return cast(Metric, self.load(spec)(self.options(spec)))

    def test_it_knows_its_tasks(self, spec: MetricSpec) -> None:
        assert spec.tasks, "name the kinds of task it scores"

    def test_right_predictions_are_not_worse_than_shuffled_ones(self, spec: MetricSpec) -> None:
        import numpy as np

        metric, order = self.build(spec), np.random.default_rng(1).permutation(60)
        sign = 1 if spec.direction == "max" else -1
        for task in spec.tasks:
            targets, perfect = _predictions(task)
            right, shuffled = metric(targets, perfect), metric(targets, perfect[order])
            assert sign * right >= sign * shuffled, f"{task}: right {right}, shuffled {shuffled}"

    def test_nothing_scores_better_than_what_is_right(self, spec: MetricSpec) -> None:
        """A search would else be led away from the truth, and the leaderboard's intervals have no end."""
        import numpy as np

        metric, rng = self.build(spec), np.random.default_rng(3)
        sign = 1 if spec.direction == "max" else -1
        for task in spec.tasks:
            targets, perfect = _predictions(task)
            best = metric(targets, perfect)
            guesses = [_noisy(task)[1], perfect[::-1], np.zeros_like(perfect) + perfect.mean(axis=0)]
            for _ in range(20):
                drawn = rng.random(perfect.shape, dtype=np.float32)
                guesses.append(drawn / drawn.sum(axis=1, keepdims=True) if task == "classification" else drawn)
            for guess in guesses:
                score = metric(targets, guess)
                assert sign * score <= sign * best + 1e-6, f"{task}: {score}, and {best} for what is right"

    def test_it_only_reads(self, spec: MetricSpec) -> None:
        """What is scored may lie in a file, and the score goes into one: a number that JSON can hold."""
        metric = self.build(spec)
        for task in spec.tasks:
            targets, predictions = _noisy(task)
            for array in (targets, predictions):
                array.flags.writeable = False
            score = metric(targets, predictions)
            assert isinstance(score, float), f"{task}: it gives {type(score)}, not a float"

    def test_it_is_a_finite_number(self, spec: MetricSpec) -> None:
        """Also on one row, on one class only, and where the model is sure and wrong."""
        import numpy as np

        metric = self.build(spec)
        for task in spec.tasks:
            targets, perfect = _predictions(task)
            one_class = np.flatnonzero(targets == targets[0]) if targets.ndim == 1 else np.arange(5)
            for rows in (np.arange(60), np.arange(1), one_class):
                for predictions in (perfect, perfect[::-1]):
                    score = metric(targets[rows], predictions[rows])
                    assert math.isfinite(score), f"{task}, {len(rows)} rows: {score}"

    def test_the_order_of_rows_does_not_matter(self, spec: MetricSpec) -> None:
        import numpy as np

        metric, order = self.build(spec), np.random.default_rng(2).permutation(60)
        for task in spec.tasks:
            targets, predictions = _noisy(task)
            here, there = metric(targets, predictions), metric(targets[order], predictions[order])
            assert math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-9), f"{task}: {here} and {there}"

    def test_the_mean_of_its_rows_is_the_score(self, spec: MetricSpec) -> None:
        metric = self.build(spec)
        for task in spec.tasks if hasattr(metric, "per_row") else ():
            targets, predictions = _noisy(task)
            rows = cast(Any, metric).per_row(targets, predictions)
            assert rows.shape == (60,)
            assert math.isclose(rows.mean(), metric(targets, predictions), rel_tol=1e-6, abs_tol=1e-9)

    def test_a_row_with_a_weight_counts_as_that_many_rows(self, spec: MetricSpec) -> None:
        """The leaderboard resamples rows by their counts; one that weighs them otherwise has other intervals."""
        import numpy as np

        metric, weights = self.build(spec), np.random.default_rng(4).integers(0, 4, (4, 60)).astype(np.float64)
        weights[0], weights[1, ::3] = 1.0, 0.0  # as they are, and without the first of three classes
        for task in spec.tasks if hasattr(metric, "weighted") else ():
            targets, predictions = _noisy(task)
            for array in (targets, predictions):
                array.flags.writeable = False
            found = cast(Any, metric).weighted(targets, predictions, weights.copy())
            assert np.shape(found) == (4,), f"{task}: {np.shape(found)}, and one score for each of 4 weightings is due"
            for score, counts in zip(found, weights.astype(np.int64), strict=True):
                rows = np.repeat(np.arange(60), counts)
                wanted = metric(targets[rows], predictions[rows])
                assert math.isclose(score, wanted, rel_tol=1e-6, abs_tol=1e-9), f"{task}: {score}, not {wanted}"


def _predictions(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets of 60 rows and predictions that are right and sure of it, in the types of the engine."""
    import numpy as np

    classes = np.arange(60) % 3
    if task == "regression":
        values = np.linspace(-1.0, 2.0, 60, dtype=np.float32)
        return values.astype(np.float64), values
    if task == "multilabel":
        labels = np.stack([classes == 0, classes != 1, np.arange(60) % 2 == 0], axis=1)
        return labels.astype(np.uint8), labels.astype(np.float32)
    return classes, np.eye(3, dtype=np.float32)[classes]


def _noisy(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Targets of 60 rows and predictions that are right now and then."""
    import numpy as np

    targets, perfect = _predictions(task)
    mixed = perfect + np.random.default_rng(0).random(perfect.shape, dtype=np.float32)
    return targets, mixed / mixed.sum(axis=1, keepdims=True) if task == "classification" else mixed.clip(0, 1)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
