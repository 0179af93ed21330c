"""The design that a report looks into: its operating point, and its exit tables as the search kept them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.errors import FrontError, StorageError
from eenas.policies.exit_table import ExitTable
from eenas.policies.temperatures import fit_temperatures
from eenas.reporting.summary import recommended
from eenas.search.results import FrontPoint, StudyResults

SPLITS = ("calibration", "validation")


@dataclass(frozen=True, kw_only=True, eq=False)
class Picked:
    """One point of the front with what its network said on two splits.

    `temperatures` float64 [K] are fitted on `calibration`. `exit_index` int64 [N] in 0..K-1 says where the point's
    policy lets the samples of `validation` leave, `answer` int64 [N] what they are answered.
    """

    item: FrontPoint
    calibration: ExitTable
    validation: ExitTable
    temperatures: NDArray[np.float64]
    exit_index: NDArray[np.int64]
    answer: NDArray[np.int64]
    backbone_macs: int

    @property
    def exits(self) -> tuple[str, ...]:
        """The K exits in depth order, the last one "final"."""
        return self.validation.exits

    @property
    def shares(self) -> NDArray[np.float64]:
        """What leaving at each exit costs, [K], as a share of the plain backbone's MACs."""
        return self.validation.macs / self.backbone_macs


def load_picked(results: StudyResults, artifacts: Path) -> Picked:
    """The recommended point of the front with its exit tables from the folder `artifacts`.

    Raises FrontError where there is no front, StorageError where a table is not in the folder, PolicyError for a file
    that is no exit table.
    """
    item = recommended(results)
    if item is None:
        raise FrontError("there is no front yet: no trial that keeps the constraints has finished")
    trial = next(trial for trial in results.trials if trial.number == item.trial)
    tables = {}
    for split in SPLITS:
        path = artifacts / trial.artifacts.get(split, f"exit table of {split}")
        if not path.is_file():
            raise StorageError(
                f"{artifacts}: holds no exit table of trial {item.trial} on {split}; give the --artifacts of the search"
            )
        tables[split] = ExitTable.load(path)
    return pick(item, tables["calibration"], tables["validation"], results.backbone.macs)


def pick(item: FrontPoint, calibration: ExitTable, validation: ExitTable, backbone_macs: int) -> Picked:
    """A point of the front with its tables. Raises PolicyError when they are of another number of exits."""
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
    """The exits for axes and legends: "1: layer1.0", ..., "final"."""
    branches = (f"{number}: {name}" for number, name in enumerate(picked.exits[:-1], start=1))
    return (*branches, "final")


def exit_numbers(exits: int) -> tuple[str, ...]:
    """The exits where names have no room: "1", ..., "final"."""
    return (*(str(number) for number in range(1, exits)), "final")


def of_point(picked: Picked) -> str:
    """Which design a figure shows, for its subtitle."""
    return f"trial {picked.item.trial}, {len(picked.validation):,} samples of the validation split"
