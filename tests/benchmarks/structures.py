"""What each structure of a branch is worth: eight families at three cut points of a frozen ResNet-20, three seeds.

    python tests/benchmarks/structures.py --data cifar10.npz --weights cifar10_resnet20.safetensors --out structures.csv

All branches of a seed are trained at once on the same samples and without influence on each other. `learned_cell` is
found by its own search, whose samples are not counted, and then trained as the others are. Accuracy is on test.
"""

from itertools import product

from cifar import Rows, arguments, context
from frozen import train_frozen

from eenas.branches.branch import Branch
from eenas.branches.capsule import Capsule
from eenas.branches.conv_fc import ConvFc
from eenas.branches.conv_pool_fc import ConvPoolFc
from eenas.branches.conv_stack import ConvStack
from eenas.branches.fc import Fc
from eenas.branches.learned_cell import LearnedCell
from eenas.branches.mlp import Mlp
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.measurement.macs import count_parameters
from eenas.study.context.bank import Bank
from eenas.study.context.study_context import StudyContext
from eenas.study.trials.finder import Finder

PLACES = ("layer1.1", "layer2.0", "layer3.0")
FAMILIES: tuple[Branch, ...] = (
    Fc(),
    Mlp(width=64),
    ConvFc(width=16),
    ConvStack(width=16, layers=2),
    PoolFc(pool="mixed"),
    ConvPoolFc(width=32, layers=2),
    Capsule(width=64),
    LearnedCell(width=16),
)


def placed_of(on: StudyContext) -> list[Placed]:
    """Every family at every cut point; the learned ones found."""
    everything = [Placed(name, branch) for name in PLACES for branch in FAMILIES]
    open_ones = tuple(each for each in everything if each.branch.is_open)
    learned = Finder(on, Bank(on)).learn(open_ones).branches
    found = dict(zip((each.cut_point for each in open_ones), learned, strict=True))
    return [found[each.cut_point] if each.branch.is_open else each for each in everything]


def main() -> None:
    """Train the branches of every seed that the CSV has no rows for."""
    given = arguments(__doc__ or "", samples=250_000)
    on = context(given)
    rows = Rows(given.out, ("seed", "samples"))
    shapes = {point.name: point.shape for point in on.profile.cut_points}
    for seed, samples in dict.fromkeys(rows.missing(product(range(given.seeds), (given.samples,)))):
        placed = placed_of(on)
        logits = train_frozen(on, placed, samples=int(str(samples)), seed=int(str(seed)))["test"]
        labels = on.task.test.labels
        for index, each in enumerate(placed):
            shape = shapes[each.cut_point]
            macs = on.branch_macs(each.branch, shape)
            rows.add(
                {
                    "cut_point": each.cut_point,
                    "structure": FAMILIES[index % len(FAMILIES)].kind,
                    "branch": each.branch.label(),
                    "seed": seed,
                    "samples": samples,
                    "accuracy": f"{(logits[:, index].argmax(axis=1) == labels).mean():.4f}",
                    "macs": macs,
                    "share_of_backbone": f"{macs / on.profile.total_macs:.4f}",
                    "parameters": count_parameters(each.branch.build(shape, on.backbone.num_classes)),
                }
            )


if __name__ == "__main__":
    main()
