"""Half of the messages: exits of a GIN on PROTEINS in ten folds, and of nodes in ten stochastic block models.

    python tests/benchmarks/graphs.py proteins --data proteins.txt --out proteins.csv
    python tests/benchmarks/graphs.py nodes --out nodes.csv

Each row is a fold or a seed. `full` is the accuracy of the final exit on all test samples, `half` that of the policy
within half of the messages (edges touched), which is fitted on the calibration split (for nodes also on validation),
`share` the messages that it used, and `plain` the same network trained alone, without exits. Nodes are answered in the
exact and the frozen form, whose shares are counted during inference on the whole graph; `exits` is the accuracy of each
exit on all test samples. A second run leaves out the rows that the file has. The last lines are the mean and the
standard deviation over rows, also of the differences from `full` and `plain` in the same row.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cifar import Rows
from numpy.typing import NDArray
from torch import nn

from eenas.backbones.chain import Chain
from eenas.backbones.graphs.graph_blocks import graph_network
from eenas.backbones.load import load_backbone
from eenas.branches.readout import ReadoutBranch
from eenas.designs.design import Design, Placed, TrainingChoice
from eenas.measurement.profile import measure_branch, profile_backbone
from eenas.networks.assembly import build_network
from eenas.networks.exit_costs import exit_costs
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.nodes.node_fit import fit_nodes
from eenas.networks.nodes.node_network import NodeNetwork, tensors_of
from eenas.networks.nodes.node_prediction import FORMS, predict_nodes
from eenas.networks.nodes.node_table import NodeTable, distance_limit, node_policy, node_tables
from eenas.networks.nodes.stationary import DistanceRule, stationary_state
from eenas.networks.tables import exit_table
from eenas.tasks.graphs.block_model import block_model_task
from eenas.tasks.graphs.graph_arrays import GraphArrays
from eenas.tasks.graphs.graph_values import GraphValues
from eenas.tasks.graphs.labelled_graphs import graph_task
from eenas.tasks.spec import SplitSpec, SplitsSpec
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from eenas.training.execution import Execution
from eenas.training.nodes.node_training import NodeTraining, train_nodes
from eenas.training.spec import TrainingSpec
from eenas.training.steps import TrainingPlan
from eenas.training.trainer import train_network

CPU = torch.device("cpu")
FOLDS, BLOCKS, WIDTH = 10, 5, 32
SHARE = 0.5
FITTED_ON = ("calibration", "validation")
SPLITS = SplitsSpec(calibration=SplitSpec(source="train", size=0.2), validation=SplitSpec(source="train", size=0.05))


def proteins(path: Path) -> tuple[GraphArrays, NDArray[np.int64]]:
    """Read the number of graphs, for each a line `nodes label`, and for each node a line `tag degree neighbours...`."""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    pairs, labels = [], []
    for _ in range(int(next(lines))):
        nodes, label = map(int, next(lines).split())
        rows = [list(map(int, next(lines).split())) for _ in range(nodes)]
        tags = np.array([row[0] for row in rows])
        edges = np.array([[node, each] for node, row in enumerate(rows) for each in row[2:]]).reshape(-1, 2).T
        pairs.append((np.eye(3, dtype=np.float32)[tags], edges.astype(np.int64)))
        labels.append(label)
    return GraphArrays.joined(pairs), np.array(labels, dtype=np.int64)


def folds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each graph, stratified by class."""
    found = np.empty(len(labels), dtype=np.int64)
    generator = np.random.default_rng(0)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        found[rows] = np.arange(len(rows)) % FOLDS
    return found


def touched(split: Split) -> NDArray[np.int64]:
    """Return the edges that each graph of a split touches to leave at each exit, [N, BLOCKS + 1]."""
    assert isinstance(split.samples, GraphValues)
    layers = np.array([*range(1, BLOCKS), BLOCKS])
    return np.asarray(split.samples.arrays.edge_counts[split.rows][:, None] * layers, dtype=np.int64)


def trained(task: Task, epochs: float, seed: int, *, exits: bool) -> tuple[EarlyExitNetwork, dict[str, NodeTable]]:
    """Return a GIN with read-outs behind all blocks but the last, trained jointly, or without exits, and its tables."""
    torch.manual_seed(seed)
    features = task.inputs.option("features")
    module: nn.Module = graph_network("gin", task.num_classes, int(str(features)), WIDTH, BLOCKS)
    backbone = load_backbone(module, num_classes=task.num_classes, inputs=task.inputs)
    names = [point.name for point in backbone.cut_points][: BLOCKS - 1]
    profile = profile_backbone(
        backbone, Chain.built_from(backbone.module, backbone.example(), names), device=CPU, latency=None
    )
    branch = ReadoutBranch(width=32)
    training = TrainingChoice(
        strategy="joint", final_weight=1.0, optimizer="adamw", learning_rate=3e-3, backbone_rate=1
    )
    placed = tuple(Placed(name, branch) for name in names) if exits else ()
    design = Design(
        backbone="gin", num_classes=task.num_classes, inputs=task.inputs, branches=placed, training=training
    )
    network = build_network(design, backbone, seed=seed)
    shapes = {point.name: point.shape for point in backbone.cut_points}
    costs = exit_costs(
        design,
        profile,
        [
            measure_branch(each.branch, shapes[each.cut_point], task.num_classes, device=CPU, latency=None)
            for each in placed
        ],
    )
    plan = TrainingPlan(
        choice=training,
        spec=TrainingSpec(epochs=epochs, batch_size=32, precision="float32", channels_last=False, small_maps=False),
        costs=costs.costs["macs"].tolist(),
        seed=seed,
        execution=Execution(False, None, False),
    )
    train_network(network, task, plan)
    splits = [task.split(name) for name in ("calibration", "test")]
    edges = {split.name: touched(split)[:, -len(network.exits) :] for split in splits}
    return network, {split.name: NodeTable(exit_table(network, split, costs), edges[split.name]) for split in splits}


def on_proteins(data: Path, epochs: float, out: Path) -> Rows:
    """Run each fold that the file has no row for."""
    graphs, labels = proteins(data)
    fold_of = folds(labels)
    rows = Rows(out, ("fold",))
    for (fold,) in rows.missing((number,) for number in range(FOLDS)):
        task = graph_task("proteins", graphs, labels, test=fold_of == fold, splits=replace(SPLITS, seed=int(str(fold))))
        _, plain = trained(task, epochs, int(str(fold)), exits=False)
        _, found = trained(task, epochs, int(str(fold)), exits=True)
        policy = node_policy(found["calibration"], edge_share=SHARE)
        point = found["test"].point(policy)
        accuracy = found["test"].table.exit_accuracy()
        rows.add(
            {
                "fold": fold,
                "plain": f"{plain['test'].table.exit_accuracy()[-1]:.4f}",
                "full": f"{accuracy[-1]:.4f}",
                "half": f"{point.accuracy:.4f}",
                "share": f"{found['test'].share(point):.4f}",
                "exits": " ".join(f"{value:.4f}" for value in accuracy),
            }
        )
    return rows


def on_nodes(kind: str, hops: int, seeds: int, out: Path) -> Rows:
    """Run each seed that the file has no row for."""
    rows = Rows(out, ("kind", "seed"))
    for _, seed in rows.missing((kind, number) for number in range(seeds)):
        number = int(str(seed))
        task = block_model_task(seed=number, noise=1.0)
        test = task.split("test")
        networks = {}
        for final_only in (True, False):
            torch.manual_seed(number)
            network = NodeNetwork(task.graph.features, task.num_classes, kind=kind, hops=hops, width=32)
            train_nodes(network, task, NodeTraining(seed=number, epochs=500, final_only=final_only))
            networks[final_only] = node_tables(network, task)
        found = networks[False]
        accuracy = found["test"].table.exit_accuracy()
        row: dict[str, object] = {"kind": kind, "seed": seed}
        row["plain"] = f"{networks[True]['test'].table.exit_accuracy()[-1]:.4f}"
        row["full"] = f"{accuracy[-1]:.4f}"
        for form in FORMS:
            fit = fit_nodes(network, task, edge_share=SHARE, form=form, splits=FITTED_ON)
            answers = predict_nodes(network, task.graph, fit.policy, form=form)
            right = float((answers.classes == task.labels)[test].mean())
            row |= {f"half_{form}": f"{right:.4f}", f"share_{form}": f"{answers.share:.4f}"}
        if kind == "sgc":
            x, edges = tensors_of(task.graph)
            limit = distance_limit(found["calibration"].joined(found["validation"]), edge_share=SHARE)
            rule = DistanceRule(limit, stationary_state(network.encoded(x).detach(), edges), hops + 1)
            answers = predict_nodes(network, task.graph, rule, form="frozen")
            right = float((answers.classes == task.labels)[test].mean())
            row |= {"half_distance": f"{right:.4f}", "share_distance": f"{answers.share:.4f}"}
        rows.add({**row, "exits": " ".join(f"{value:.4f}" for value in accuracy)})
    return rows


def main() -> None:
    """Run the part that the command names, and print the mean of its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("proteins", "nodes"))
    parser.add_argument("--data", type=Path, default=Path("proteins.txt"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--kind", default="gcn")
    parser.add_argument("--hops", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    if given.part == "proteins":
        rows = on_proteins(given.data, given.epochs, given.out)
    else:
        rows = on_nodes(given.kind, given.hops, given.seeds, given.out)
    for name in rows.rows[0]:
        if name.startswith(("plain", "full", "half", "share")):
            values = np.array([float(row[name]) for row in rows.rows])
            print(f"{name}: {values.mean():.4f} (standard deviation {values.std(ddof=1):.4f})")
            for other in ("plain", "full") if name.startswith("half") else ():
                less = values - np.array([float(row[other]) for row in rows.rows])
                error = less.std(ddof=1) / len(less) ** 0.5
                print(
                    f"  less {other}: {less.mean():+.4f} (deviation {less.std(ddof=1):.4f}, standard error {error:.4f})"
                )


if __name__ == "__main__":
    main()
