"""The front, the plain backbone and the baselines as rows of plain facts, also as CSV and JSON."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from eenas.designs.design import Design
from eenas.policies.costs import CostValues, key_of
from eenas.policies.operating_point import NO_VALUES, OperatingPoint
from eenas.reporting.facts.row_cost import RowCost, row_costs
from eenas.reporting.facts.wording import place
from eenas.results.front import best_within
from eenas.results.nothing_chosen import no_front, nothing_chosen
from eenas.results.results import Comparison, StudyResults
from eenas.specs import to_table as to_plain
from eenas.study.context.traits import Traits
from eenas.study.rivals.offered_points import FrontPoint, offered
from eenas.tier_names import TierSplit

SHARES = (0.25, 0.5, 0.75, 1.0)
PLAIN, STATIC, HAND_PLACED = "plain backbone", "static networks", "uniform by hand"


@dataclass(frozen=True, kw_only=True)
class FrontRow:
    """One operating point. Accuracies and shares are in [0, 1]; `costs` are per sample, the MACs first.

    `robustness` holds accuracies under distortions by name, if they were measured. `split` is the best split between
    tiers, or None without tiers.
    `choice`, `knee` and `recommended` mark points of the front. `above_backbone` is the 95 % interval of the point's
    accuracy minus the backbone's. `ends_at` is the cut point at which every sample leaves, or empty. `exits` are the
    cut points in depth order and `structures` their branches; `leaving` and `exit_accuracy` have one more entry, for
    the final exit. `strategy` to `final_rule` are the `Traits` of points of the front; `how` lists those that differ
    from the default.
    """

    kind: Literal["front", "backbone", "baseline"]
    name: str
    trial: int | None = None
    choice: bool = False
    knee: bool = False
    recommended: bool = False
    above_backbone: tuple[float, ...] = ()
    ends_at: str = ""
    accuracy: float
    robustness: CostValues = NO_VALUES
    costs: tuple[RowCost, ...]
    split: TierSplit | None = None
    exits: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    leaving: tuple[float, ...] = ()
    exit_accuracy: tuple[float | None, ...] = ()
    strategy: str | None = None
    boosted: bool | None = None
    cascade: bool | None = None
    policy: str | None = None
    ensemble: str | None = None
    final_rule: str | None = None
    how: str = ""

    def cost(self, name: str) -> RowCost:
        """Return the cost with this name."""
        return next(each for each in self.costs if each.name == name)

    def flat(self) -> dict[str, Any]:
        """Return all values under their names in CSV and JSON.

        The values of each cost replace `costs`, those of `robustness` stand under their own names, and there is no
        `split` without tiers.
        """
        found: dict[str, Any] = {}
        for name, value in ((field.name, getattr(self, field.name)) for field in fields(self)):
            if name == "costs":
                for each in self.costs:
                    found |= each.flat()
            elif name == "robustness":
                found |= value
            elif name != "split" or value is not None:
                found[name] = value
        return found


@dataclass(frozen=True, kw_only=True)
class SharesRow:
    """The best accuracy within each share of the backbone's MACs; None if no point is that cheap.

    `networks` names the network of each accuracy ("" if the row's name does). `comparisons` holds the comparison of the
    search's proposals with this row.
    """

    name: str
    networks: tuple[str, ...]
    accuracies: tuple[float | None, ...]
    comparisons: tuple[Comparison | None, ...] = ()


def front_rows(results: StudyResults) -> list[FrontRow]:
    """Return every point of the front, in the order of the results (by falling accuracy)."""
    return [point_row(item, results) for item in results.front]


def choice_rows(results: StudyResults) -> list[FrontRow]:
    """Return the points of the front that are choices."""
    return [point_row(item, results) for item in results.choices]


def point_row(item: FrontPoint, results: StudyResults) -> FrontRow:
    """Return the row of one point of the front."""
    row = _row("front", item.label, item.point, results, item.design)
    ends = item.ends_at
    return replace(
        row,
        trial=item.trial,
        choice=item.choice,
        knee=item.knee,
        recommended=item.recommended,
        above_backbone=item.against_backbone or (),
        ends_at="" if ends is None else item.design.branches[ends].cut_point,
    )


def baseline_rows(results: StudyResults) -> list[FrontRow]:
    """Return the rows of the plain backbone and of every operating point of the study's baselines."""
    return [backbone_row(results)] + [
        _row("baseline", baseline.name, point, results)
        for baseline in results.baselines
        if baseline.name != "backbone"
        for point in baseline.points
    ]


def backbone_row(results: StudyResults) -> FrontRow:
    """Return the row of the plain backbone, with 1 for every share."""
    backbone = results.backbone
    costs = row_costs(results.all_costs, backbone.costs, backbone.costs, backbone)
    plain = next((each.points[0] for each in results.networks if each.kind == "plain"), None)
    found = NO_VALUES if plain is None else plain.robustness
    split = None if plain is None else plain.split
    return FrontRow(kind="backbone", name=PLAIN, accuracy=backbone.accuracy, robustness=found, costs=costs, split=split)


def shares_rows(results: StudyResults, shares: Sequence[float] = SHARES) -> list[SharesRow]:
    """Return the front and each family of baselines at the given shares of the backbone's MACs, one row each."""
    held: dict[str, list[FrontPoint]] = {}
    families = {network.name: network.family for network in results.networks}
    for item in offered(results.networks, results.backbone, results.settings.constraints):
        held.setdefault(families[item.name], []).append(item)
    compared = {(one.baseline, one.budget): one for one in results.comparisons}
    order = ["search", *(name for name in held if name not in ("search", PLAIN)), PLAIN]
    rows = []
    for name, items in [("front", results.front), *((name, held.get(name, [])) for name in order)]:
        best = [best_within(items, share) for share in shares]
        rows.append(
            SharesRow(
                name="proposed by the search" if name == "search" else name,
                networks=tuple("" if item is None or name == PLAIN else item.label for item in best),
                accuracies=tuple(None if item is None else item.point.accuracy for item in best),
                comparisons=tuple(compared.get((name, share)) for share in shares),
            )
        )
    return rows


def networks(rows: Iterable[FrontRow]) -> list[tuple[FrontRow, str]]:
    """Return each network of the rows once: one of its rows, and the traits that differ from the default.

    The text is empty if all traits are the default. Points of one network may differ in their policy; the traits that
    all of them share come first.
    """
    points: dict[str, list[FrontRow]] = {}
    for row in rows:
        points.setdefault(row.name, []).append(row)
    found = []
    for own in points.values():
        hows = [row.how.split(", ") if row.how else [] for row in own]
        shared = [text for text in hows[0] if all(text in how for how in hows)]
        rest = dict.fromkeys(", ".join(text for text in how if text not in shared) for how in hows)
        own_ways = [" or ".join(way or "default" for way in rest)] if any(rest) else []
        found.append((own[0], ", ".join((*shared, *own_ways))))
    return found


def exits_of(row: FrontRow) -> str:
    """Return the exits of a point in depth order, each with its branch, or "no branch"; a static one has one exit."""
    pairs = [pair for pair in zip(row.exits, row.structures, strict=True) if row.ends_at in ("", pair[0])]
    return ", ".join(f"{place(where)}: {structure}" for where, structure in pairs) or "no branch"


def family(name: str) -> str:
    """Return the group of a baseline in tables: all uniform placements are one family."""
    return HAND_PLACED if name.startswith("uniform") else name


def states(results: StudyResults) -> dict[str, int]:
    """Return the number of trials in each state, the most frequent first."""
    return dict(Counter(trial.state for trial in results.trials).most_common())


def to_csv(rows: Iterable[FrontRow]) -> str:
    """Return the rows as CSV with a header line. Lists are joined by semicolons; missing values are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    tables = [row.flat() for row in rows]
    writer.writerow(tables[0] if tables else ())
    for table in tables:
        writer.writerow([_cell(value) for value in table.values()])
    return stream.getvalue()


def to_table(results: StudyResults) -> dict[str, Any]:
    """Return the whole result as plain data for JSON, the output of `--json`."""
    return {
        "study": results.name,
        "storage": results.storage,
        "task": results.task,
        "device": results.device,
        "latency": None if results.latency is None else results.latency.conditions,
        "backbone": _backbone(results),
        "chance": results.chance,
        "trials": states(results),
        "front": [row.flat() for row in front_rows(results)],
        "recommended": None if results.recommended is None else results.recommended.name,
        "nothing_recommended": None if results.recommended else _why_nothing(results),
        "baselines": [row.flat() for row in baseline_rows(results)],
        "at_shares": [
            {
                "name": row.name,
                "accuracy": dict(zip(map("{:g}".format, SHARES), row.accuracies, strict=True)),
                "network": dict(zip(map("{:g}".format, SHARES), row.networks, strict=True)),
            }
            for row in shares_rows(results)
        ],
        "costs": to_plain(results.all_costs),
        "hypervolume": {f"accuracy_{name}": results.hypervolumes.get(name) for name in results.cost_names},
        "comparisons": [{**asdict(one), "verdict": one.verdict} for one in results.comparisons],
        "validation": {
            "samples": results.samples,
            "largest_class": results.largest_class,
            "measure": results.measure,
        },
        "limits": to_plain(results.settings.constraints),
        "warnings": list(results.warnings),
    }


def to_json(results: StudyResults) -> str:
    """Return `to_table` as indented JSON."""
    return json.dumps(to_table(results), indent=2, ensure_ascii=False, allow_nan=False)


def _backbone(results: StudyResults) -> dict[str, Any]:
    """Return the plain backbone's facts, with None for a cost that was not measured."""
    return {**{key_of(name): None for name in results.cost_names}, **results.backbone.to_table()}


def _why_nothing(results: StudyResults) -> str:
    return nothing_chosen(results, results.front) if results.front else no_front(results)


def _row(
    kind: Literal["front", "baseline"],
    name: str,
    point: OperatingPoint,
    results: StudyResults,
    design: Design | None = None,
) -> FrontRow:
    placed = design.branches if design is not None else ()
    traits = None if design is None else Traits.of(design, point.policy)
    return FrontRow(
        kind=kind,
        name=name,
        accuracy=point.accuracy,
        robustness=point.robustness,
        costs=row_costs(results.all_costs, point.expected, point.worst, results.backbone),
        split=point.split,
        exits=tuple(branch.cut_point for branch in placed),
        structures=tuple(branch.branch.label() for branch in placed),
        leaving=tuple(point.shares),
        exit_accuracy=tuple(point.exit_accuracy),
        **({} if traits is None else asdict(traits)),
        how="" if traits is None else traits.words(),
    )


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return ";".join("" if item is None else f"{item:.6g}" if isinstance(item, float) else item for item in value)
    if isinstance(value, bool):
        return int(value)
    return f"{value:.8g}" if isinstance(value, float) else value
