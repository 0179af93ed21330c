"""A network with exits in time, fitted to arrays of series within seconds, with held-out answers of its exits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eenas.backbones.load import Backbone, load_backbone
from eenas.backbones.models.series.fixed_convolutions import KERNELS, THRESHOLDS, FixedConvolutions
from eenas.backbones.models.series.in_time import fixed_in_time
from eenas.backbones.models.series.unrolled import BLOCKS
from eenas.branches.fc import Fc
from eenas.designs.design import Design, Placed
from eenas.errors import TaskError
from eenas.escaping import shortened
from eenas.frozen.in_time.ridge import fit_ridge
from eenas.measurement.costs.earliness import Earliness
from eenas.measurement.macs import count_macs
from eenas.networks.assembly import build_network
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.costs import EARLINESS, KNOWN, MACS, CostFacts, Costs
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import fit_temperatures
from eenas.tasks.arrays import check_class_names, check_labels, series_values
from eenas.tasks.series.padding import lengths_of, padded, with_length
from eenas.tasks.series.series_arrays import as_array
from eenas.tasks.series.series_input import is_masked
from eenas.tasks.series.series_values import SeriesValues


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedInTime:
    """A network with exits in time, and what it knows of its own exits.

    `held_out` is the exit table of the training series, each answered by classifiers that were fitted without it: on it
    temperatures, thresholds and learned policies are fitted (`eenas.policies`). `costs` of each exit are the MACs and
    the earliness, the share of the points seen.
    """

    network: EarlyExitNetwork
    held_out: ExitTable
    costs: Costs

    def logits(self, series: Any) -> NDArray[np.float32]:
        """Return the logits of every exit, [n, K, C], for series [n, channels, length] or [n, length].

        A network of series of different length reads longer ones up to the longest of training.
        """
        taken = self.network.transform.inputs
        values, samples = _read(series, (taken.size("time") or 0) if is_masked(taken) else 0)
        samples.reader(np.arange(0), taken)  # says what fits
        with torch.inference_mode():
            found = [
                torch.stack(self.network(self.network.transform(part)), dim=1) for part in torch.split(values, _BATCH)
            ]
        return np.asarray(torch.cat(found).numpy())

    def table(self, series: Any, labels: Any) -> ExitTable:
        """Return the exit table of other series [n, ...] with their class numbers [n]."""
        numbers = check_labels(labels, "labels", self.network.classes)
        return ExitTable(logits=self.logits(series), labels=numbers, exits=self.network.exits, costs=self.costs)


_BATCH = 256


def fit_in_time(
    series: Any,
    labels: Any,
    *,
    classes: Sequence[str] = (),
    blocks: int = BLOCKS,
    kernels: int = KERNELS,
    thresholds: int = THRESHOLDS,
    seed: int = 0,
) -> FittedInTime:
    """Fit a network with `blocks` exits in time to series [n, channels, length] or [n, length] and class numbers [n].

    Series of different length are a list, or padded with NaN at their end.

    Fixed convolutions (`FixedConvolutions`) run over the series once, their features are running shares, and each exit
    has a ridge classifier of these, fitted in closed form: a few seconds for hundreds of series. No choice here needs
    other data than the training series; `seed` draws the series that thresholds come from. Raises TaskError for series
    and labels that are no task, such as gaps or a single class.
    """
    _check_whole(blocks=blocks, kernels=kernels, thresholds=thresholds, seed=seed)
    given, samples = _read(series)
    names = None if classes is None or np.size(classes) == 0 else check_class_names(classes)
    numbers = check_labels(labels, "labels", names)
    if len(samples) != len(numbers):
        raise TaskError(f"series and labels must be as many, got {len(samples)} and {len(numbers)}; give each a label")
    classes = names or tuple(map(str, range(int(numbers.max()) + 1)))
    num_classes = len(classes)
    if len(np.unique(numbers)) < 2:
        raise TaskError("series must be of at least two classes, got one; give labels that differ")
    inputs = samples.inputs
    if (blocks, kernels, thresholds) == (BLOCKS, KERNELS, THRESHOLDS):  # a name, by which an export is loaded again
        backbone = load_backbone("series_fixed_in_time", num_classes=num_classes, inputs=inputs)
    else:
        module = fixed_in_time(inputs, num_classes, blocks=blocks, kernels=kernels, thresholds=thresholds)
        backbone = load_backbone(module, num_classes=num_classes, inputs=inputs)
    layer = next(part for part in backbone.module.modules() if isinstance(part, FixedConvolutions))
    rows = np.arange(len(samples))
    mean, spread = samples.statistics(rows)
    transform = backbone.transform.stated(mean, spread)
    backbone = replace(backbone, transform=transform)
    x = transform(given)
    layer.fit(x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:_BATCH], : layer.inputs])
    design = Design(
        backbone=backbone.name,
        num_classes=num_classes,
        inputs=transform.inputs,
        branches=tuple(Placed(point.name, Fc()) for point in backbone.cut_points),
    )
    network = build_network(design, backbone, classes=classes).eval()
    held_out = _fit_classifiers(network, x, numbers)
    costs = _costs(backbone, network)
    table = ExitTable(logits=held_out, labels=numbers, exits=network.exits, costs=costs)
    return FittedInTime(network=network, held_out=table, costs=costs)


def _check_whole(**options: Any) -> None:
    """Raise TaskError for an option that is no whole number from 0 up to 2^32 - 1."""
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 1 << 32:
            raise TaskError(f"{name} must be a whole number from 0 to 2^32 - 1, got {shortened(value)}; correct it")


def _read(series: Any, length: int = 0) -> tuple[Tensor, SeriesValues]:
    """Return series for a transform, and as samples; with a `length`, padded or cut to it, with a mask."""
    array = as_array(padded(series, "series"), "series")
    if length:
        array = array[..., :length] if array.shape[-1] >= length else with_length(array, length)
    masked = length > 0 or lengths_of(array, "series") is not None
    samples = series_values(array, "series", masked=masked)[1]
    return samples.reader(np.arange(len(samples)), samples.inputs)[np.arange(len(samples))], samples


@torch.no_grad()
def _fit_classifiers(network: EarlyExitNetwork, x: Tensor, labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Set the linear layer of every exit, and return the logits [n, K, C] of leaving one out.

    The logits of ridge regression are scaled so that their softmax is calibrated on the answers of leaving one out.
    """
    layers = [_linear_of(network, name) for name in network.exits]
    found: dict[int, list[Tensor]] = {index: [] for index in range(len(layers))}
    hooks = [layer.register_forward_pre_hook(partial(_keep_input, found[index])) for index, layer in enumerate(layers)]
    try:
        for part in torch.split(x, _BATCH):
            network(part)
    finally:
        for hook in hooks:
            hook.remove()
    answers = []
    for index, layer in enumerate(layers):
        features = torch.cat(found[index]).numpy().astype(np.float64)
        ridge = fit_ridge(features, labels, layer.out_features)
        scale = 1.0 / calibrated(ridge.left_out, labels)
        layer.weight.copy_(torch.from_numpy(ridge.weights * scale))
        layer.bias.copy_(torch.from_numpy(ridge.bias * scale))
        answers.append(ridge.left_out * scale)
    return np.stack(answers, axis=1).astype(np.float32)


def _keep_input(kept: list[Tensor], module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    kept.append(inputs[0])


def _linear_of(network: EarlyExitNetwork, name: str) -> nn.Linear:
    """Return the linear layer of an exit: that of its fc branch, or the network's own classifier."""
    inside = network.backbone if name == network.final else network.branches.at(name)
    return [part for part in inside.modules() if isinstance(part, nn.Linear)][-1]


def calibrated(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature of logits [n, C] for classes [n] as `fit_temperatures` fits it."""
    costs = Costs.of(macs=np.ones(1))
    table = ExitTable(logits=logits[:, None].astype(np.float32), labels=labels, exits=("final",), costs=costs)
    return float(fit_temperatures(table)[0])


def _costs(backbone: Backbone, network: EarlyExitNetwork) -> Costs:
    """Return MACs and earliness of every exit."""
    chain = network.chain(backbone.example(2))
    macs, seen, total = [], [], 0
    points = {point.name: point for point in backbone.all_cut_points}
    before: Any = backbone.example(1)
    for name, segment in zip(network.exits, chain.segments, strict=True):
        total += count_macs(segment, before)
        if name != network.final:
            before = points[name].shape
            total += count_macs(network.branches.at(name), before) + network.design.num_classes
        macs.append(float(total))
        seen.append(points[name].seen if name != network.final else 1.0)
    facts = (KNOWN[MACS], CostFacts(name=EARLINESS, unit=Earliness.unit, provenance=Earliness.provenance))
    return Costs(facts, np.array([macs, seen]))
