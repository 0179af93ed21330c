"""The network that a report examines: its operating point and its stored exit tables."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eenas.errors import FrontError, StorageError, StudyError
from eenas.policies.costs import MACS
from eenas.policies.exit_table import ExitTable
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.temperatures import fit_temperatures
from eenas.records.artifacts import ArtifactStore, MissingArtifactError
from eenas.reporting.facts.summary import shown
from eenas.reporting.facts.wording import place
from eenas.results.choice import Choice, choose_design
from eenas.results.nothing_chosen import no_front
from eenas.results.results import StudyResults
from eenas.study.rivals.offered_points import FrontPoint

SPLITS = ("calibration", "validation")


@dataclass(frozen=True, kw_only=True, eq=False)
class Picked:
    """One operating point with its network's exit tables on two splits.

    `item` is a point of the front, or the best point of a requested network. `temperatures` float64 [K] are fitted on
    `calibration`. `exit_index` int64 [N] in 0..K-1 is the exit at which the point's policy lets each sample of
    `validation` leave, and `answer` int64 [N] its answer.
    """

    item: FrontPoint
    calibration: ExitTable
    validation: ExitTable
    temperatures: NDArray[np.float64]
    exit_index: NDArray[np.int64]
    answer: NDArray[np.int64]
    backbone_macs: float

    @property
    def exits(self) -> tuple[str, ...]:
        """The K exits in depth order, the last one "final"."""
        return self.validation.exits

    @property
    def shares(self) -> NDArray[np.float64]:
        """The MACs of leaving at each exit, [K], as shares of the plain backbone's."""
        return self.validation.costs[MACS] / self.backbone_macs


def drawn_item(results: StudyResults, choice: Choice | None = None) -> FrontPoint | None:
    """Return the point that a report draws: the one that `eenas train` takes for `choice`, or the recommended one.

    None if there is no front. Raises StudyError and FrontError as `choose_design` does, and StudyError for a design
    from a file, which is not part of the study.
    """
    if choice is None:
        return shown(results)
    if choice.design_file is not None:
        raise StudyError(f"a report needs a design of its study, got the file {choice.design_file}; name a network")
    found = choose_design(results, choice).estimate
    assert found is not None  # only a design from a file has none
    return next((item for item in results.front if _figures(item) == _figures(found)), found)


def _figures(item: FrontPoint) -> tuple[object, ...]:
    """Return the key of a point: a policy that was fitted for a target may equal a point of the front."""
    point = item.point
    return item.name, point.accuracy, point.expected[MACS], point.worst[MACS], point.shares, point.exit_accuracy


def load_picked(results: StudyResults, item: FrontPoint | None, artifacts: ArtifactStore) -> Picked:
    """Load the exit tables of a point's network from the store `artifacts`.

    Raises FrontError if there is no point, StorageError if a table is missing or was changed, PolicyError for a file
    that is not an exit table.
    """
    if item is None:
        raise FrontError(no_front(results))
    tables = {split: exit_table_of(results, item.name, split, artifacts) for split in SPLITS}
    return pick(item, tables["calibration"], tables["validation"], results.backbone.macs)


def exit_table_of(results: StudyResults, name: str, split: str, artifacts: ArtifactStore) -> ExitTable:
    """Return the stored exit table of a network of a study.

    Raises StorageError if it is missing or was changed, PolicyError for a file that is not an exit table.
    """
    network = next(network for network in results.networks if network.name == name)
    reference = network.artifacts.get(split, "")
    missing = f"{artifacts.label}: has no exit table of {name} on {split}; give the --artifacts of the search"
    if not reference:
        raise StorageError(missing)
    try:
        file = artifacts.path(reference)
    except MissingArtifactError:
        raise StorageError(missing) from None
    return load_exit_table(file)


def pick(item: FrontPoint, calibration: ExitTable, validation: ExitTable, backbone_macs: float) -> Picked:
    """Apply a point's policy to its tables. Raises PolicyError if they have another number of exits."""
    decisions = item.point.policy.apply(validation)
    return Picked(
        item=item,
        calibration=calibration,
        validation=validation,
        temperatures=fit_temperatures(calibration),
        exit_index=decisions.exit_index,
        answer=decisions.answer,
        backbone_macs=backbone_macs,
    )


def exit_names(picked: Picked) -> tuple[str, ...]:
    """Return the exits for axes and legends: "1: layer1.0" or, in an nn.Sequential, "1: module 3", ..., "final"."""
    branches = (f"{number}: {place(name)}" for number, name in enumerate(picked.exits[:-1], start=1))
    return (*branches, "final")


def exit_numbers(exits: int) -> tuple[str, ...]:
    """Return short names of the exits: "1", ..., "final"."""
    return (*(str(number) for number in range(1, exits)), "final")


def of_point(picked: Picked) -> str:
    """Return the network and the samples of a figure, for its subtitle."""
    return f"{picked.item.label}, {len(picked.validation):,} samples of the validation split"
