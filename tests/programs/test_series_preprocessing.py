"""The preprocessing of series in NumPy: the network's own transform, files, and refusals."""

import numpy as np
import pytest
import torch

from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.errors import InputError
from eenas.programs.preprocessing.kinds import preprocessing_from
from eenas.programs.preprocessing.series_preprocessing import SeriesPreprocessing
from eenas.specs import to_table

TRANSFORM = SeriesTransform(2, 16, (1.0, -3.0), (2.0, 0.5))
PREPARED = preprocessing_from(to_table(TRANSFORM))
SERIES = np.random.default_rng(0).normal(size=(5, 2, 16)).astype(np.float32)


def test_it_is_the_network_s_transform() -> None:
    expected = TRANSFORM(torch.from_numpy(SERIES)).numpy()
    np.testing.assert_array_equal(PREPARED(SERIES), expected)
    np.testing.assert_array_equal(PREPARED.prepare(list(SERIES)), expected)
    assert PREPARED.checked(expected).dtype == np.float32
    assert PREPARED.blank(3).shape == (3, 2, 16)
    np.testing.assert_array_equal(SeriesPreprocessing(2, 16)(SERIES), SERIES)


def test_files_hold_one_series_or_several(tmp_path) -> None:
    np.save(tmp_path / "one.npy", SERIES[0].astype(np.float64))
    np.save(tmp_path / "all.npy", SERIES)
    assert PREPARED.prepare([tmp_path / "one.npy", str(tmp_path / "all.npy")]).shape == (6, 2, 16)
    single = SeriesPreprocessing(1, 16)
    assert single.prepare([SERIES[0, 0]]).shape == (1, 1, 16)


def test_what_is_no_series_of_this_kind_is_refused(tmp_path) -> None:
    for wrong, message in (
        (SERIES[:, :, :15], r"must be floats \[N, 2, 16\] .*, got float32 \[5, 2, 15\]; cut or pad"),
        (SERIES[:, :1], r"got float32 \[5, 1, 16\]; give 2 channels"),
        (SERIES[0], r"got float32 \[2, 16\]"),
        (SERIES.astype(str), "must be floats"),
    ):
        with pytest.raises(InputError, match=message):
            PREPARED(wrong)
    with pytest.raises(InputError, match=r"a batch of series from preprocess"):
        PREPARED.checked(SERIES.astype(np.float64))
    for gap in (np.nan, np.inf, 1e300):
        holed = SERIES.astype(np.float64 if gap == 1e300 else np.float32)
        holed[3, 1, 2] = gap
        for use in (PREPARED, PREPARED.checked) if gap != 1e300 else (PREPARED,):
            with pytest.raises(InputError, match=r"NaN or infinity in sample 3 of 5"):
                use(holed)
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"is not a readable .npy file .*; write it with numpy.save"):
        PREPARED.prepare([tmp_path / "bad.npy"])
    with pytest.raises(InputError, match=r"none.npy': no such file; give a .npy file"):
        PREPARED.prepare([tmp_path / "none.npy"])
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(InputError, match=r"is not a readable .npy file"):
        PREPARED.prepare([tmp_path / "objects.npy"])


@pytest.mark.parametrize(
    "change",
    [{"channels": 0}, {"length": True}, {"mean": [0.0]}, {"std": [0.0, 1.0]}, {"mean": [0.0, float("inf")]}],
)
def test_damaged_numbers_are_refused(change) -> None:
    with pytest.raises(InputError):
        preprocessing_from({**to_table(TRANSFORM), **change})
