"""The tables of experts: contexts, and the worth of each expert."""

from eenas.cli.tables.expert_tables import experts_table, worth_table
from tests.expert_figures import NAMES, expert_figures


def cells(table):
    return list(zip(*(list(column.cells) for column in table.columns), strict=True))


def test_contexts_have_accuracy_and_macs_with_and_without_experts():
    made = experts_table(expert_figures())
    assert cells(made)[1] == (
        "gaussian_blur:1",
        "75.0 %",
        "62.5 %",
        "50.0 %",
        "40.0 %",
        "pristine 50 %, gaussian_blur 50 %",
    )
    assert "2 MACs, 2.00 %" in made.caption


def test_each_expert_has_its_worth_and_the_share_of_its_images():
    made = worth_table(expert_figures())
    assert [column.header for column in made.columns][4:] == list(NAMES)
    assert cells(made) == [
        ("pristine", "87.5 %", "90.0 %", "-2.5", "90 %", "10 %", "0 %"),
        ("gaussian_blur", "62.5 %", "43.8 %", "+18.8", "25 %", "75 %", "0 %"),
        ("fog", "62.5 %", "50.0 %", "+12.5", "12 %", "12 %", "75 %"),
    ]
