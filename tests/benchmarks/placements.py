"""What each way of placement is worth: J = accuracy - lambda * relative cost of the branches that it chooses.

    python tests/benchmarks/placements.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out placements.csv

Branches at every cut point of a frozen ResNet-20 are trained once a seed. Uniform, metric (MACs), savings and gain
placement, learned gates before and after polishing, and the best of all choices are compared: on the `tune` part of
train, which gates and the exhaustive search are fitted on, and on the validation split with the thresholds from
`tune`. Uniform and metric placement are tried with every number of branches; the best number on `tune` is taken.
"""

from itertools import product

from cifar import Rows, arguments, context
from frozen import table_of, train_frozen

from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.designs.placement import at_shares, candidates, fractions, shares, uniform
from eenas.frozen.candidate_table import CandidateTable
from eenas.frozen.gates import fit_gates
from eenas.frozen.savings import place_by_gain, place_by_savings
from eenas.frozen.subsets import Subset, SubsetObjective

WEIGHTS = (0.1, 0.3, 0.6)


def choices(objective: SubsetObjective, have: tuple[float, ...], seed: int) -> dict[str, Subset]:
    """The branches that each way of placement chooses on the judge's table."""
    table, count = objective.table, len(objective.table.names)

    def best(options: list[Subset]) -> Subset:
        return max(options, key=lambda option: objective.evaluate(option).value)

    gates = fit_gates(table, cost_weight=objective.cost_weight, seed=seed)
    numbers = range(1, count + 1)
    return {
        "none": (),
        "all": tuple(range(count)),
        "uniform": best([uniform(n, count) for n in numbers]),
        "metric": best([at_shares(fractions("linear", n), have) for n in numbers]),
        "gain": place_by_gain(table, most=count).chosen,
        "savings": best([place_by_savings(table, count=n).chosen for n in numbers]),
        "gates, raw": gates.raw,
        "gates": gates.chosen,
        "exhaustive": objective.exhaustive()[0],
    }


def main() -> None:
    """Train the branches of every seed that the CSV has no rows for, and place them."""
    given = arguments(__doc__ or "", samples=250_000)
    on = context(given)
    rows = Rows(given.out, ("seed", "samples"))
    names = [on.profile.cut_points[index].name for index in candidates(on.profile)]
    placed = [Placed(name, PoolFc(pool="mixed")) for name in names]
    have = shares(on.profile, "macs")
    for seed, samples in dict.fromkeys(rows.missing(product(range(given.seeds), (given.samples,)))):
        number = int(str(seed))
        logits = train_frozen(on, placed, samples=int(str(samples)), seed=number)
        tables: dict[str, CandidateTable] = {
            split: table_of(on, placed, logits[split], split, number) for split in ("tune", "validation")
        }
        for weight in WEIGHTS:
            objective = SubsetObjective(table=tables["tune"], cost_weight=weight)
            for kind, chosen in choices(objective, have, number).items():
                here = objective.evaluate(chosen)
                there = SubsetObjective(
                    table=tables["validation"],
                    cost_weight=weight,
                    thresholds=(here.threshold,),
                    temperatures=tables["tune"].temperatures,
                ).evaluate(chosen)
                rows.add(
                    {
                        "lambda": weight,
                        "placement": kind,
                        "seed": seed,
                        "samples": samples,
                        "branches": len(chosen),
                        "tune_J": f"{here.value:.4f}",
                        "validation_J": f"{there.value:.4f}",
                        "validation_accuracy": f"{there.accuracy:.4f}",
                        "validation_cost": f"{there.cost:.4f}",
                        "chosen": " ".join(names[index] for index in chosen),
                    }
                )


if __name__ == "__main__":
    main()
