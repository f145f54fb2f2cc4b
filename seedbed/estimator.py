"""`AutoML`: a run behind scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from seedbed.core.data.columns import SUFFIXES
from seedbed.core.errors import DataError, UsageError
from seedbed.core.task import Modality, TaskKind
from seedbed.core.training.predictions import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedbed.api import Run
    from seedbed.core.protocols import Monitor


class AutoML:
    """A classifier or regressor: `AutoML(time="2m").fit(X, y).score(X_test, y_test)`.

    Targets say what it is, as in scikit-learn: a matrix of 0 and 1 is several labels a row, numbers that are
    not whole are values, all else is classes; `task` says it where they do not, and to scikit-learn's tools
    before `fit`. `__init__` only stores; `fit` returns self; `get_params` and `set_params` round-trip, so
    that scikit-learn's tools can clone it. Attributes with a trailing underscore exist after `fit`: `kind_`,
    `classes_` (of labels the columns' numbers; none of values), `run_`, `model_`.
    """

    def __init__(
        self,
        *,
        time: str | float | None = None,
        trials: int | None = None,
        task: str | None = None,
        modality: str | None = None,
        metric: str | None = None,
        out: str | Path | None = None,
        backend: str = "local",
        device: str = "auto",
        threads: int = 0,
        seed: int = 0,
        offline: bool = False,
        plugins: Sequence[str | ModuleType] = (),
        monitors: Sequence[str | Monitor] = (),
    ) -> None:
        """Store the options; they are those of `seedbed.fit`."""
        self.time = time
        self.trials = trials
        self.task = task
        self.modality = modality
        self.metric = metric
        self.out = out
        self.backend = backend
        self.device = device
        self.threads = threads
        self.seed = seed
        self.offline = offline
        self.plugins = plugins
        self.monitors = monitors

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options by name."""
        return {name: getattr(self, name) for name in _OPTIONS}

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's own type
        """Tell scikit-learn's tools what this is, and that its inputs are no matrix of features."""
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        kind = self._kind
        return Tags(
            estimator_type="regressor" if kind == "regression" else "classifier",
            target_tags=TargetTags(required=True, multi_output=kind == "multilabel"),
            classifier_tags=None if kind == "regression" else ClassifierTags(multi_label=True),
            regressor_tags=RegressorTags() if kind == "regression" else None,
            input_tags=InputTags(two_d_array=False, three_d_array=True),
        )

    @property
    def _kind(self) -> TaskKind | None:
        """The kind of task, as far as it is known."""
        return cast("TaskKind | None", getattr(self, "kind_", self.task))

    def set_params(self, **params: Any) -> AutoML:  # noqa: ANN401 - as scikit-learn's
        """Change options by name.

        Raises:
            UsageError: there is no such option.
        """
        for name, value in params.items():
            if name not in _OPTIONS:
                raise UsageError(f"AutoML has no option {name!r}; it has {', '.join(_OPTIONS)}.")
            setattr(self, name, value)
        return self

    def fit(self, X: Any, y: Any) -> AutoML:  # noqa: ANN401 - as scikit-learn's
        """Train on inputs X and targets y, (N,) or for several labels a row a matrix of 0 and 1 (N, K).

        Args:
            X: images, an array (N, H, W[, C]) or a list of paths or pictures; a list of texts; series, an array
                (N, C, T) or (N, T, C) or a list of such, of one length or several; or a frame. Whether an array
                of three axes shows grey images or series is told from its shape and values, unless `modality`
                says so; of rows of numbers, (N, T), it must, as scikit-learn's features look the same.
            y: what to learn.

        Raises:
            SeedbedError: what went wrong, and what to do about it.
        """
        targets = _targets(y)
        self.kind_ = _kind_of(targets, self.task)
        self.run_: Run = self._run(X, targets)
        if self.kind_ == "multilabel":
            self.classes_ = np.arange(targets.shape[1])
        elif self.kind_ == "classification":
            self.classes_ = np.unique(targets)
        self.model_ = self.run_.best
        return self

    def _run(self, X: Any, targets: np.ndarray) -> Run:  # noqa: ANN401 - as scikit-learn's
        from seedbed.api import fit, fit_arrays
        from seedbed.core.data.reading.objects import table_of

        options = self.get_params()
        modality = cast("Modality | None", self.modality) or _modality_of(X)
        if self.kind_ == "classification" and modality == "image" and not hasattr(X, "columns"):
            return fit_arrays(X, targets, **options)
        learnt: Any = [str(each) for each in targets]
        if self.kind_ == "regression":
            learnt = targets.astype(np.float64)
        elif self.kind_ == "multilabel":
            learnt = [[str(label) for label in np.flatnonzero(row)] for row in targets]
        table = table_of(X, learnt, modality=modality)
        return fit(table, **options | {"task": self.kind_, "modality": modality})

    @property
    def predict_proba(self) -> Callable[[Any], np.ndarray]:
        """Return probabilities (N, K) of inputs X, columns in the order of `classes_`; of values there are none."""
        if self._kind == "regression":  # scikit-learn's tools ask whether there is such an attribute
            raise AttributeError("AutoML has no predict_proba for regression; call predict.")
        return self._predict_proba

    def _predict_proba(self, X: Any) -> np.ndarray:  # noqa: ANN401 - as scikit-learn's
        found = self.model_.predict_proba(X)
        place = {name: number for number, name in enumerate(self.model_.classes)}
        # A label that no row of training had is unknown to the model: it is never given.
        columns = [place.get(str(each)) for each in self.classes_]
        nothing = np.zeros(len(found), dtype=found.dtype)
        return np.stack([nothing if each is None else found[:, each] for each in columns], axis=1)

    def predict(self, X: Any, *, abstain: float | None = None) -> np.ndarray:  # noqa: ANN401 - as scikit-learn's
        """Return what each input is: a class of the type that `fit` was given, a row of 0 and 1, or a number.

        With `abstain`, the share of inputs that may be told wrong, as 0.05, classes come as objects, and None
        where more than one remains possible: `model_.predict_sets` says which.

        Raises:
            UsageError: it cannot abstain, as it gives labels or numbers or had too few rows for the level.
        """
        if abstain is not None:
            known = {str(each): each for each in self.classes_} if self.kind_ == "classification" else {}
            named = self.model_.predict(X, abstain=abstain)
            return np.array([None if each is None else known[each] for each in named], dtype=object)
        if self.kind_ == "regression":
            return np.asarray(self.model_.predict(X), dtype=np.float64)
        chosen: np.ndarray = self._predict_proba(X)
        if self.kind_ == "multilabel":
            return (chosen >= THRESHOLD).astype(np.int64)
        return np.asarray(self.classes_[chosen.argmax(1)])

    def score(self, X: Any, y: Any) -> float:  # noqa: ANN401 - as scikit-learn's
        """Return the accuracy on inputs X and targets y (of labels, all of a row must be right), or of values R²."""
        targets, found = _targets(y), self.predict(X)
        if self.kind_ == "regression":
            from sklearn.metrics import r2_score

            return float(r2_score(targets, found))
        is_right = found == targets
        return float((is_right.all(axis=1) if self.kind_ == "multilabel" else is_right).mean())


def _targets(y: Any) -> np.ndarray:  # noqa: ANN401 - as scikit-learn's
    """Return targets as an array (N,) or (N, K)."""
    try:
        targets = np.asarray(y)
    except ValueError as error:
        raise DataError(
            "The targets are of several lengths; several labels a row are given as a matrix of 0 and 1, which "
            "sklearn.preprocessing.MultiLabelBinarizer makes of lists of names."
        ) from error
    return targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets


def _kind_of(targets: np.ndarray, task: str | None) -> TaskKind:
    """Return what is to be learnt, as scikit-learn's `type_of_target` tells it, unless the user says so."""
    if task is not None and task not in get_args(TaskKind):
        raise UsageError(f"task={task!r}; choose one of {', '.join(get_args(TaskKind))}.")
    is_matrix = targets.ndim == 2 and bool(np.isin(targets, (0, 1)).all())
    is_number = targets.dtype.kind in "biuf"
    if targets.ndim != (2 if is_matrix else 1) or (task is not None and is_matrix != (task == "multilabel")):
        raise DataError(
            f"The targets have the shape {targets.shape}; for {task or 'classes or values'} give one for each row, "
            "(N,), and for several labels a row 0 and 1 for each of K labels, (N, K)."
        )
    if task == "regression" and not is_number:
        raise DataError(f"The targets are of the type {targets.dtype}; regression needs numbers.")
    if task is not None:
        return cast(TaskKind, task)
    if is_matrix:
        return "multilabel"
    is_fraction = targets.dtype.kind == "f" and bool((targets != np.floor(targets)).any())
    return "regression" if is_fraction else "classification"


def _modality_of(X: Any) -> Modality | None:  # noqa: ANN401 - as scikit-learn's
    """Return what inputs are, None where the reading of them as a table is to say it: of frames and texts.

    Raises:
        DataError: they are numbers that could be images as well as series, or features, which are neither.
    """
    if hasattr(X, "columns") or isinstance(X, Mapping):
        return None
    first = next((each for each in X if each is not None), None) if hasattr(X, "__iter__") else None
    if isinstance(first, str):
        return "image" if Path(first).suffix.lower() in SUFFIXES else None
    is_numbers = isinstance(first, list | tuple) or getattr(first, "shape", ()) != ()
    return _modality_of_arrays(X) if is_numbers else "image"


def _modality_of_arrays(X: Any) -> Modality | None:  # noqa: ANN401 - an array, or a sequence of arrays or lists
    """Tell series from images, by shape and values as wherever data is read."""
    from seedbed.core.data.reading.arrayforms import blocks_of, form_of, look
    from seedbed.core.data.reading.objectcolumns import as_array

    if hasattr(X, "shape") and len(X.shape) > 1:
        whole = as_array("X", X)
        shape, dtype, blocks = whole.shape, whole.dtype, blocks_of(whole)
    else:
        rows = [as_array(f"X, row {number}", each) for number, each in enumerate(X) if each is not None]
        dtype = np.result_type(*{each.dtype for each in rows})
        if dtype.kind in "biuf" and len({each.shape for each in rows}) > 1:
            is_image = rows[0].ndim > 2 or (rows[0].ndim == 2 and dtype == np.uint8)  # as `table_of` has it
            return "image" if is_image else "series"
        shape, blocks = (len(rows), *rows[0].shape), (each[None] for each in rows)
    if dtype.kind not in "biuf":
        return None
    if len(shape) == 2:
        raise DataError(
            f"X holds {shape[0]:,} rows of {shape[1]:,} numbers each. If they are series, say modality='series'; if "
            "they are images that lie flat, reshape them to (N, H, W). Tables of features are nothing that Seedbed "
            "learns from."
        )
    found = form_of(look("X", shape, dtype, blocks)).modality if len(shape) == 3 else "image"
    if found == "series" and shape[1] == shape[2]:
        raise DataError(
            f"X has the shape {shape}, and values of no image. If they are series, say modality='series'; pixels are "
            "integers in 0 to 255 or floats in 0 to 1: scale them."
        )
    return found


_OPTIONS = (
    "time", "trials", "task", "modality", "metric", "out", "backend", "device", "threads", "seed", "offline",
    "plugins", "monitors",
)  # fmt: skip
