"""`AutoML`: a run behind scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.core.errors import UsageError

if TYPE_CHECKING:
    from seedbed.api import Run
    from seedbed.core.protocols import Monitor


class AutoML:
    """A classifier: `AutoML(time="2m").fit(X, y).score(X_test, y_test)`.

    `__init__` only stores; `fit` returns self; `get_params` and `set_params` round-trip, so that
    scikit-learn's tools can clone it. Attributes with a trailing underscore exist after `fit`.
    """

    def __init__(
        self,
        *,
        time: str | float | None = None,
        trials: int | None = None,
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
        """Tell scikit-learn's tools that this is a classifier, of images."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False, three_d_array=True),
        )

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

    def fit(self, X: Any, y: Sequence[Any] | np.ndarray) -> AutoML:  # noqa: ANN401 - as scikit-learn's
        """Train on images X, an array (N, H, W[, C]) or a list of paths or pictures, and labels y (N,).

        Raises:
            SeedbedError: what went wrong, and what to do about it.
        """
        from seedbed.api import fit_arrays

        labels = np.asarray(y)
        self.classes_ = np.unique(labels)
        self.run_: Run = fit_arrays(X, labels, **self.get_params())
        self.model_ = self.run_.best
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: ANN401 - as scikit-learn's
        """Return probabilities (N, K), columns in the order of `classes_`."""
        found = self.model_.predict_proba(X)
        order = [self.model_.classes.index(str(each)) for each in self.classes_]
        return found[:, order]

    def predict(self, X: Any) -> np.ndarray:  # noqa: ANN401 - as scikit-learn's
        """Return the label of each input, of the type that `fit` was given."""
        chosen: np.ndarray = self.classes_[self.predict_proba(X).argmax(1)]
        return chosen

    def score(self, X: Any, y: Sequence[Any] | np.ndarray) -> float:  # noqa: ANN401 - as scikit-learn's
        """Return the accuracy on images X and labels y."""
        return float((self.predict(X) == np.asarray(y)).mean())


_OPTIONS = (
    "time", "trials", "metric", "out", "backend", "device", "threads", "seed", "offline", "plugins", "monitors",
)  # fmt: skip
