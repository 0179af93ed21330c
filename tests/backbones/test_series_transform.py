"""The transform of series: statistics of train, shapes, tables, and modules that state one."""

import numpy as np
import pytest
import torch
from torch import nn

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.errors import BackboneError, SpecError, TaskError
from eenas.specs import to_table
from eenas.tasks.images.digits import digits_task
from eenas.tasks.images.image_input import image_input
from eenas.tasks.series.series_input import series_input
from eenas.tasks.task import Task

SERIES = np.random.default_rng(0).normal([[[3.0], [-100.0]]], [[[2.0], [0.01]]], size=(60, 2, 16))
TASK = Task.from_arrays("some", SERIES, np.arange(60) % 3, input="series")


def net(classes: int = 3, channels: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Conv1d(channels, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU()),
        nn.Sequential(nn.Conv1d(8, 8, 3, stride=2, padding=1), nn.ReLU()),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


def test_channels_are_brought_to_the_statistics_of_train() -> None:
    transform = SeriesTransform(2, 16).fitted(TASK)
    assert transform.fitted(TASK) is transform, "stated statistics stay"
    batch = TASK.train.reader(transform.inputs)[np.arange(len(TASK.train))]
    found = transform(batch)
    assert (found.dtype, found.shape[1:]) == (torch.float32, transform.shape)
    torch.testing.assert_close(found.mean(dim=(0, 2)), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.std(dim=(0, 2), unbiased=False), torch.ones(2), atol=1e-3, rtol=0)
    assert not transform.is_raw(batch)
    assert SeriesTransform(2, 16)(batch) is batch


@pytest.mark.parametrize("shape", [(5, 2, 15), (5, 3, 16), (2, 16)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BackboneError, match=r"takes floats \[N, 2, 16\], got torch.float32"):
        SeriesTransform(2, 16)(torch.zeros(shape))


@pytest.mark.parametrize(
    "values",
    [
        {"channels": 0},
        {"mean": (0.0,), "std": (1.0,)},
        {"mean": (0.0, 0.0)},
        {"mean": (0.0, 0.0), "std": (1.0, 0.0)},
        {"mean": (float("nan"), 0.0), "std": (1.0, 1.0)},
    ],
)
def test_numbers_that_no_series_has_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(BackboneError):
        SeriesTransform(**{"channels": 2, "length": 16, **values})  # type: ignore[arg-type]


def test_tables_of_both_kinds_are_read() -> None:
    for transform in (SeriesTransform(2, 16).fitted(TASK), InputTransform((8, 9), 1, (0.5,), (0.25,), "pad")):
        assert transform_from_table(to_table(transform)) == transform
    with pytest.raises(SpecError, match=r"a: \[t.size\]: unknown key"):
        transform_from_table({"kind": "series", "channels": 1, "size": 3, "length": 3}, file="a", key="t")


def test_samples_of_another_kind_are_refused() -> None:
    with pytest.raises(TaskError, match=r"the backbone takes series: .*, and the samples are images"):
        SeriesTransform(1, 64).fitted(digits_task())
    with pytest.raises(TaskError, match=r"the backbone takes images: .*, and the samples are series"):
        InputTransform(8, 1, (0.5,), (0.25,)).fitted(TASK)


def test_a_module_of_the_user_takes_the_inputs_of_the_task() -> None:
    found = load_backbone(net(), num_classes=3, inputs=TASK.inputs)
    assert found.transform == SeriesTransform(2, 16)
    assert {point.shape.kind for point in found.cut_points} == {"series"}
    assert [point.shape.dims for point in found.cut_points] == [(8, 16), (8, 8)]
    with pytest.raises(BackboneError, match=r"does not run on an input of shape \[2, 2, 16\].*give series of as many"):
        load_backbone(net(channels=3), num_classes=3, inputs=TASK.inputs)


def test_a_module_may_state_its_transform() -> None:
    module = net()
    module.eenas_transform = {"kind": "series", "channels": 2, "length": 99, "mean": [1, 2], "std": [3, 4]}
    found = load_backbone(module, num_classes=3, inputs=TASK.inputs)
    assert found.transform == SeriesTransform(2, 16, (1.0, 2.0), (3.0, 4.0))
    with pytest.raises(BackboneError, match=r"its eenas_transform takes series: .*, and the task has images"):
        load_backbone(module, num_classes=3, inputs=image_input(8, 3))
    with pytest.raises(BackboneError, match=r"give as many channels"):
        load_backbone(module, num_classes=3, inputs=series_input(3, 16))


def test_a_module_for_series_needs_no_task() -> None:
    module = net()
    module.eenas_transform = {"kind": "series", "channels": 2, "length": 99}
    assert load_backbone(module, num_classes=3).transform.inputs == series_input(2, 99)
    assert load_backbone(module, num_classes=3, input_size=40).transform.inputs == series_input(2, 40)
    with pytest.raises(BackboneError, match=r"takes series, whose size is their length, got \(8, 4\)"):
        load_backbone(module, num_classes=3, input_size=(8, 4))


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        (
            "resnet18",
            TASK.inputs,
            "takes images, and the task has series: .*; give series_resnet, or a module",
        ),
        ("torchvision:resnet18", TASK.inputs, "takes images, and the task has series"),
        ("cifar_resnet20", TASK.inputs, "takes images, and the task has series"),
        (
            "series_resnet",
            image_input(32, 3),
            "takes series, and the task has images: .*; give one of timm",
        ),
    ],
)
def test_backbones_of_another_kind_are_refused(name: str, inputs: object, message: str) -> None:
    with pytest.raises(BackboneError, match=message) as caught:
        load_backbone(name, num_classes=3, inputs=inputs)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_statistics_and_channels_of_the_specification() -> None:
    spec = BackboneSpec("series_resnet_small", mean=1.0, std=(2.0, 3.0))
    assert load_backbone(spec, num_classes=3, inputs=TASK.inputs).transform == SeriesTransform(
        2, 16, (1.0, 1.0), (2.0, 3.0)
    )
    with pytest.raises(BackboneError, match=r"belong together; give both or neither"):
        load_backbone(BackboneSpec("series_resnet_small", mean=1.0), num_classes=3, inputs=TASK.inputs)
    with pytest.raises(BackboneError, match=r"takes 2 channels, got backbone.channels = 3"):
        load_backbone(BackboneSpec("series_resnet_small", channels=3), num_classes=3, inputs=TASK.inputs)
