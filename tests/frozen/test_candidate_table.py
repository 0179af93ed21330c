"""The candidate table: what it refuses, and the exit table of a choice."""

import numpy as np
import pytest

from eenas.errors import TrainingError
from eenas.frozen.candidate_table import CandidateTable
from eenas.policies.temperatures import fit_temperatures
from tests.frozen.candidate_tables import made_up_table


def test_the_exit_table_of_a_choice_pays_for_every_branch_on_the_way() -> None:
    table = made_up_table(4, branch=0.1)
    chosen = table.exit_table((0, 2))
    assert chosen.exits == ("block1", "block3", "final")
    assert chosen.costs["macs"].tolist() == pytest.approx([0.3e6, 0.8e6, 1.2e6])
    assert np.array_equal(chosen.logits, table.logits[:, [0, 2, 4]])
    assert table.exit_table(()).costs["macs"].tolist() == [1e6]
    assert np.allclose(fit_temperatures(chosen), table.temperatures[[0, 2, 4]])


def test_structures_of_one_cut_point_stand_side_by_side() -> None:
    table = made_up_table(3, structures=2)
    assert table.groups == ((0, 1), (2, 3), (4, 5))
    assert table.names == ("block1", "block1", "block2", "block2", "block3", "block3")
    assert len(table) == 600
    assert table.confidences().shape == (600, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("a", "b")}, r"must be \[600 samples, 3 exits, classes\]"),
        ({"names": ("a", "b", "a")}, "must be adjacent"),
        ({"names": ("a", "b", "c"), "backbone_macs": np.array([2.0, 1.0, 3.0, 4.0])}, "in depth order"),
        ({"branch_macs": np.ones(2)}, "need 4 backbone_macs and 3 branch_macs"),
    ],
)
def test_refuses_what_does_not_fit_together(changes: dict[str, object], message: str) -> None:
    table = made_up_table(3)
    values = {name: getattr(table, name) for name in ("names", "logits", "labels", "backbone_macs", "branch_macs")}
    with pytest.raises(TrainingError, match=message):
        CandidateTable(**{**values, **changes})  # type: ignore[arg-type]


def test_cut_points_with_nothing_counted_between_them_are_in_order() -> None:
    table = made_up_table(3)
    values = {name: getattr(table, name) for name in ("names", "logits", "labels", "branch_macs")}
    same = np.array([2e5, 2e5, 5e5, 1e6])  # a pooling or a ReLU between the first two
    assert CandidateTable(**values, backbone_macs=same).backbone_macs.tolist() == same.tolist()
