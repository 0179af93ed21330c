"""Where the exits of a ResNet-20 look on CIFAR-10: agreement and faithfulness of their maps.

    python tests/benchmarks/explanations.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out maps.csv

Branches of three families are trained on the frozen backbone, then explained on test images. A row for each exit, then
the classes whose first and final exit look at the most different and the most similar places.
"""

from itertools import product

from cifar import Rows, arguments, context, design_of, train

from eenas.branches.conv_fc import ConvFc
from eenas.branches.fc import Fc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed, TrainingChoice
from eenas.networks.explanations.explain import explain

BRANCHES = (
    Placed(cut_point="layer1.1", branch=ConvFc(width=32)),
    Placed(cut_point="layer2.1", branch=PoolFc(pool="avg", size=2)),
    Placed(cut_point="layer3.0", branch=Fc()),
)


def main() -> None:
    """Train and explain the network of every seed that the CSV has no rows for."""
    given = arguments(__doc__ or "", samples=12_500)
    on = context(given)
    rows = Rows(given.out, ("seed", "samples"))
    for seed, samples in rows.missing(product(range(given.seeds), (given.samples,))):
        design = design_of(on, BRANCHES, TrainingChoice(strategy="two_stage"))
        network = train(on, design, samples=int(str(samples)), seed=int(str(seed)))
        found = explain(network, on.task)
        right = (found.answers == found.labels[:, None]).mean(axis=0)
        for k, each in enumerate(found.to_table()["exits"]):
            measures = ("overlap", "spearman", "deletion", "insertion", "shuffled")
            rows.add(
                {
                    "exit": each["name"],
                    "map_of": each["map_of"],
                    "seed": seed,
                    "samples": samples,
                    "images": len(found.labels),
                    "accuracy": f"{right[k]:.3f}",
                    **{name: f"{each[name]:.3f}" for name in measures},
                }
            )
        classes = [f"{name} {shared:.0%}" for name, (_, _, shared) in found.by_class().items()]
        print(f"overlap of the first and the final exit by class: {', '.join(classes)}")


if __name__ == "__main__":
    main()
