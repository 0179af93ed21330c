"""Networks with exits in time behind the interface of aeon's early classifiers."""

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eenas.errors import EenasError, TaskError
from eenas.frozen.in_time.fit_in_time import FittedInTime, fit_in_time
from eenas.frozen.in_time.harmonic_mean import fit_harmonic_mean, harmonic_mean
from eenas.networks.network_stream import NetworkAnswers, NetworkStream
from eenas.policies.policy import Policy


class _WithoutAeon:
    """Stands for aeon's base class where aeon is not installed."""

    def __init__(self) -> None:
        raise TaskError(
            "EarlyClassifier has the interface of aeon's early classifiers, and aeon is not installed; "
            "pip install 'eenas[series]', or use eenas.fit_in_time, which does not need it"
        )


def _interface() -> type[Any]:
    try:
        from aeon.classification.early_classification import BaseEarlyClassifier
    except ImportError:
        return _WithoutAeon
    found: type[Any] = BaseEarlyClassifier
    return found


_Interface: Any = _interface()


class EarlyClassifier(_Interface):  # type: ignore[misc]
    """An early classifier of time series with the interface of `aeon.classification.early_classification`.

    It is the network of `eenas.fit_in_time`, with the policy of the highest harmonic mean of accuracy and earliness on
    held-out answers of the training series. `blocks` is the number of exits, `kernels` and `thresholds` those of its
    fixed convolutions, `random_state` an int or a `numpy.random.RandomState`.

    The order of calls is that of aeon: `fit(X, y)`; `predict(X)` or `predict_proba(X)` on series of any length up to
    that of training, which return (labels or probabilities, decisions), -1 where there is no decision yet;
    `update_predict(X)` or `update_predict_proba(X)` with all points so far of the series without a decision; and
    `score(X, y)`, which returns harmonic mean, accuracy and earliness. An update runs the network on new points only.

    An array of no series gets no answers, so that a loop of updates may go on when all series are decided.

    `state_info` int64 [n, 4] holds the exit that each series has read last (-1: none), whether it was decided (0 or 1),
    the index of the class so far (-1: none), and the points up to that exit. After `fit`, `network_` is the
    `EarlyExitNetwork`, `policy_` its policy, and `held_out_` the exit table that it was fitted on.

    Raises ValueError for series that do not fit those of training or those of the last call, as aeon does. Needs the
    extra `eenas[series]`; without it, the constructor raises TaskError.
    """

    _tags: ClassVar[dict[str, Any]] = {"capability:multivariate": True, "algorithm_type": "convolution"}

    def __init__(self, blocks: int = 20, kernels: int = 84, thresholds: int = 6, random_state: Any = None) -> None:
        self.blocks = blocks
        self.kernels = kernels
        self.thresholds = thresholds
        self.random_state = random_state
        self._stream: NetworkStream | None = None
        super().__init__()

    def get_tag(self, tag_name: str, raise_error: bool = True, tag_value_default: Any = None) -> Any:
        """Return a tag as aeon does, without the copy of all tags that would take half the time of an update."""
        for tags in (self._tags_dynamic, *(vars(kind).get("_tags", {}) for kind in type(self).__mro__)):
            if tag_name in tags:
                return deepcopy(tags[tag_name])
        return super().get_tag(tag_name, raise_error, tag_value_default)

    def reset_state_info(self) -> None:
        """Forget the series of the last call; the next update begins with new ones."""
        super().reset_state_info()
        self._stream = None

    def _preprocess_collection(self, X: Any, store_metadata: bool = True) -> NDArray[Any]:
        """Return series as aeon does, which reads the first one unasked: here there may be none after `fit`."""
        shape = np.shape(X) if isinstance(X, np.ndarray) else (len(X),) if isinstance(X, list) else None
        if shape is None or 0 not in shape:
            series: NDArray[Any] = super()._preprocess_collection(X, store_metadata)
            return series
        if self.is_fitted and len(shape) in (2, 3) and shape[0] == 0:
            return np.empty(shape if len(shape) == 3 else (0, 1, shape[1]))
        fix = "no series are an array [0, channels, points]" if self.is_fitted else "give the training series"
        raise ValueError(f"series must be [n, channels, points] with at least one point, got {list(shape)}; {fix}")

    def _fit(self, X: NDArray[Any], y: NDArray[Any]) -> "EarlyClassifier":
        state = self.random_state
        if not isinstance(state, np.random.RandomState):
            state = np.random.RandomState(state)
        seed = int(state.randint(np.iinfo(np.int32).max))
        numbers = np.searchsorted(self.classes_, y)
        try:
            fitted: FittedInTime = fit_in_time(
                X,
                numbers,
                classes=tuple(map(str, self.classes_)),
                blocks=self.blocks,
                kernels=self.kernels,
                thresholds=self.thresholds,
                seed=seed,
            )
        except EenasError as error:
            raise ValueError(str(error)) from error
        self.network_ = fitted.network
        self.network_.steps(self.network_.transform.example(1))  # cut here, not in the first answer
        self.held_out_ = fitted.held_out
        self.policy_: Policy = fit_harmonic_mean(fitted.held_out)
        return self

    def _predict(self, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        return self._labels(self._begin(X))

    def _update_predict(self, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        return self._labels(self._continue(X))

    def _predict_proba(self, X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return _probabilities(self._begin(X))

    def _update_predict_proba(self, X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        return _probabilities(self._continue(X))

    def _score(self, X: NDArray[Any], y: Any) -> tuple[float, float, float]:
        if not len(X):
            raise ValueError("score needs at least one series, got 0; give series with their labels")
        found = self._begin(X)
        labels = np.asarray(y)
        if len(labels) != len(X):
            raise ValueError(f"score needs a label for each series, got {len(labels)} for {len(X)}")
        if not found.decided.all():
            whole = self.network_.transform.shape[1]
            raise ValueError(f"score needs whole series of {whole} points as in training, got {X.shape[2]}")
        accuracy = float((self.classes_[found.classes] == labels).mean())
        earliness = float(found.points.mean() / self.network_.transform.shape[1])
        return float(harmonic_mean(accuracy, earliness)), accuracy, earliness

    def _begin(self, X: NDArray[Any]) -> NetworkAnswers:
        self._stream = NetworkStream(self.network_, self.policy_, len(X))
        return self._continue(X)

    def _continue(self, X: NDArray[Any]) -> NetworkAnswers:
        assert self._stream is not None
        try:
            found = self._stream.feed(X)
        except EenasError as error:
            raise ValueError(str(error)) from error
        columns = (found.exits, found.decided, found.classes, found.points)
        self.state_info = np.stack([column.astype(np.int64) for column in columns], axis=1)
        return found

    def _labels(self, found: NetworkAnswers) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        labels = self.classes_[np.maximum(found.classes, 0)]
        undecided = np.full(len(labels), -1).astype(str) if labels.dtype.kind in "US" else np.full(len(labels), -1)
        return np.where(found.decided, labels, undecided), found.decided

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        """Return the parameters that aeon's checks test with; these run on series of a dozen points."""
        return {"blocks": 4, "kernels": 8, "thresholds": 2}


def _probabilities(found: NetworkAnswers) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.where(found.decided[:, None], found.probabilities, -1.0), found.decided
