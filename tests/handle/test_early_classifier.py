"""aeon's interface of early classifiers: its own checks, streams, scores, and what happens without aeon."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import eenas
from eenas.errors import TaskError
from eenas.tasks.series.waves import waves

SOURCE = Path(eenas.__file__).parent / "handle" / "early_classifier.py"
KEPT_BY_THE_INTERFACE = ("check_non_state_changing_method",)
"""What aeon leaves out for its own early classifiers too: these keep `state_info` between calls."""


def test_without_aeon_the_constructor_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "aeon.classification.early_classification", None)
    spec = importlib.util.spec_from_file_location("without_aeon", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(TaskError, match=r"pip install 'eenas\[series\]'"):
        module.EarlyClassifier(blocks=4)


@pytest.fixture(scope="module")
def early():
    pytest.importorskip("aeon")
    series, labels = waves(120)
    names = np.array(["low", "mid", "top", "odd", "fifth", "sixth"])[labels]
    return eenas.EarlyClassifier(blocks=6, kernels=10, thresholds=2, random_state=0).fit(series, names)


@pytest.fixture(scope="module")
def others() -> tuple[np.ndarray, np.ndarray]:
    series, labels = waves(180)
    return series[120:], np.array(["low", "mid", "top", "odd", "fifth", "sixth"])[labels[120:]]


def test_aeons_own_checks_pass() -> None:
    pytest.importorskip("aeon")
    from aeon.testing.estimator_checking import check_estimator

    found = check_estimator(
        eenas.EarlyClassifier, checks_to_exclude=list(KEPT_BY_THE_INTERFACE), raise_exceptions=False
    )
    assert len(found) >= 20
    assert {name: result for name, result in found.items() if result != "PASSED"} == {}


def test_updates_end_with_the_answers_for_whole_series(early, others) -> None:
    series, _ = others
    whole, decided = early.predict(series)
    assert decided.all()
    rows, labels = np.arange(len(series)), np.full(len(series), "?", dtype=object)
    early.reset_state_info()
    for points in (1, 20, 33, 50, series.shape[2]):
        found, decided = early.update_predict(series[rows, :, :points])
        state = early.get_state_info()
        assert state.shape == (len(rows), 4)
        np.testing.assert_array_equal(state[:, 1] == 1, decided)
        assert set(found[~decided]) <= {"-1"}
        labels[rows[decided]] = found[decided]
        rows = rows[~decided]
        if not len(rows):
            break
    np.testing.assert_array_equal(labels.astype(str), whole)


def test_no_series_get_no_answers_so_a_loop_of_updates_may_go_on(early, others) -> None:
    series, _ = others
    _, decided = early.predict(series)
    for found, none in (early.update_predict(series[~decided]), early.predict(series[:0])):
        assert (found.shape, none.shape, none.dtype) == ((0,), (0,), np.bool_)
        assert found.dtype.kind == "U"
        assert early.get_state_info().shape == (0, 4)
    for found, none in (early.predict_proba(series[:0]), early.update_predict_proba(series[:0])):
        assert (found.shape, none.shape) == ((0, len(early.classes_)), (0,))


def test_probabilities_are_minus_one_before_a_decision(early, others) -> None:
    series, _ = others
    probabilities, decided = early.predict_proba(series[:, :, :12])
    assert 0 < decided.sum() < len(series)
    np.testing.assert_allclose(probabilities[decided].sum(axis=1), 1)
    assert (probabilities[~decided] == -1).all()
    probabilities, decided = early.update_predict_proba(series[~decided])
    assert decided.all()
    labels, _ = early.predict(series)
    final, _ = early.predict_proba(series)
    assert (early.classes_[final.argmax(axis=1)] == labels).all()


def test_the_score_is_that_of_the_decisions(early, others) -> None:
    series, labels = others
    mean, accuracy, earliness = early.score(series, labels)
    found, _ = early.predict(series)
    assert accuracy == pytest.approx((found == labels).mean())
    assert earliness == pytest.approx(early.state_info[:, 3].mean() / series.shape[2])
    assert mean == pytest.approx(2 * accuracy * (1 - earliness) / (accuracy + 1 - earliness))
    assert accuracy > 1.5 / 6
    assert 0 < earliness < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda early, x, y: early.score(x[:, :, :2], y), "score needs whole series"),
        (lambda early, x, y: early.score(x, y[:-1]), "a label for each series"),
        (lambda early, x, y: early.score(x[:0], y[:0]), "at least one series, got 0"),
        (lambda early, x, y: early.predict([]), r"at least one point, got \[0\]; no series are an array"),
        (lambda early, x, y: early.predict(x[:3, :, :0]), r"at least one point, got \[3, 2, 0\]"),
        (lambda early, x, y: early.predict(x[:0, :1]), "2 channels"),
        (lambda early, x, y: (early.predict(x[:, :, :2]), early.update_predict(x[:0])), "leave out those"),
        (lambda early, x, y: early.clone().fit(x[:0], y[:0]), r"got \[0, 2, 64\]; give the training series"),
        (lambda early, x, y: (early.predict(x[:, :, :2]), early.update_predict(x[1:])), "leave out those"),
        (lambda early, x, y: (early.predict(x[:, :, :9]), early.update_predict(x[:, :, :8])), "at least 9, got 8"),
        (lambda early, x, y: early.predict(np.tile(x, (1, 2, 1))), "2 channels"),
        (lambda early, x, y: early.clone().set_params(kernels=0).fit(x, y), "kernels must be 1 to 84"),
    ],
)
def test_calls_that_do_not_fit_are_refused(early, others, call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(early, *others)
