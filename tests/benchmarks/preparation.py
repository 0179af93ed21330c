"""What `prepare` makes of given weights on few samples, against a linear probe and the recipe that trains everything.

    python tests/benchmarks/preparation.py --data cifar10.npz --mnist mnist.npz --weights cifar10_resnet20.safetensors \
        --out docs/preparation.csv

Each case draws 600 training images for each seed, of which eenas takes four fifths as its train split, and scores on
all test images of the case. Cases: MNIST in colour (ten classes as the weights have, other ones), CIFAR-10 in five
pairs of classes and four of its classes (the classifier is new), its classes under other numbers, and as the weights
know them. Arms: logistic regression of scikit-learn on the frozen features of the train split (`probe`) and of all 600
images (`probe of all`), `auto`, the same with the network given from Python (`auto, module`), `always` (the recipe that
trains everything at the full rate) and `never`. Rows that the CSV has are not run again.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import Rows
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eenas.backbones.load import Backbone, BackboneSpec, load_backbone
from eenas.frozen.frozen_head import read_head
from eenas.progress import Event, Notice
from eenas.seeding import derive, seeded
from eenas.study.context.backbone.prepared_backbone import prepare_backbone
from eenas.study.context.study_context import make_context
from eenas.study.settings.reference import StudyReference
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.split import Split
from eenas.tasks.task import Task

SAMPLES = 600
PAIRS = np.array([0, 1, 2, 3, 4, 3, 2, 4, 0, 1])
"""Aeroplane and ship, car and lorry, bird and frog, cat and dog, deer and horse."""
FOUR = (2, 3, 5, 7)
CASES = ("MNIST", "pairs", "four classes", "other numbers", "as known")
WHEN = {"auto": "auto", "auto, module": "auto", "always": "always", "never": "never"}
ARMS = ("probe", "probe of all", *WHEN)


def task_of(case: str, seed: int, data: dict[str, dict[str, NDArray[Any]]]) -> Task:
    """600 training images of the case and all of its test images."""
    arrays = data["mnist" if case == "MNIST" else "cifar"]
    images = {"train": arrays["train_x"], "test": arrays["test_x"]}
    labels = {"train": arrays["train_y"].astype(np.int64), "test": arrays["test_y"].astype(np.int64)}
    generator = np.random.default_rng(derive(seed, "benchmark", case))
    order = np.random.default_rng(derive(seed, "numbers")).permutation(10)
    for source in ("train", "test"):
        x, y = images[source], labels[source]
        if case == "MNIST":
            x = np.repeat(np.pad(x, ((0, 0), (2, 2), (2, 2)))[..., None], 3, axis=3)
        elif case == "pairs":
            y = PAIRS[y]
        elif case == "four classes":
            x, y = x[np.isin(y, FOUR)], np.searchsorted(FOUR, y[np.isin(y, FOUR)])
        elif case == "other numbers":
            y = order[y]
        if source == "train":
            some = generator.choice(len(x), SAMPLES, replace=False)
            x, y = x[some], y[some]
        images[source], labels[source] = x, y
    name = case.replace(" ", "-").lower()
    return Task.from_arrays(
        name, images["train"], labels["train"], images["test"], labels["test"], flip=case != "MNIST"
    )


def probe(found: Backbone, parts: list[Split], test: Split) -> float:
    """The accuracy on `test` of a logistic regression on the frozen features of `parts`, cross-validated."""
    heads = [read_head(found.module, found.transform, split).features for split in (*parts, test)]
    assert all(features is not None for features in heads)
    x = [features.numpy() for features in heads if features is not None]
    model = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"logisticregression__C": np.logspace(-4, 2, 13)},
        cv=5,
    )
    model.fit(np.concatenate(x[:-1]), np.concatenate([split.labels for split in parts]))
    return float(model.score(x[-1], test.labels))


def run(case: str, arm: str, seed: int, given: argparse.Namespace, data: dict[str, Any]) -> dict[str, object]:
    """The row of one arm."""
    task, start, said = task_of(case, seed, data), time.time(), list[str]()
    spec = BackboneSpec("cifar_resnet20", weights=str(given.weights))
    if arm.startswith("probe"):
        found = load_backbone(spec, num_classes=task.num_classes)
        parts = [task.train] if arm == "probe" else [task.train, task.calibration, task.validation]
        accuracy = probe(found, parts, task.test)
    else:
        module = None
        if arm == "auto, module":
            with seeded(derive(seed, "backbone")):
                module = load_backbone(spec, num_classes=task.num_classes).module
        settings, _ = load_settings(
            backbone="cifar_resnet20",
            weights=str(given.weights),
            space="small",
            seed=seed,
            overrides=(
                f"prepare.when={WHEN[arm]}",
                "training.epochs=1",
                "latency.seconds=0.01",
                *(f"training.{name}" for name in ("precision=float32", "channels_last=true", "small_maps=false")),
            ),
        )

        def listener(event: Event) -> None:
            if isinstance(event, Notice):
                said.append(event.text)

        with tempfile.TemporaryDirectory() as folder:
            context = make_context(
                settings,
                StudyReference(storage=f"sqlite:///{folder}/eenas.db", backbone=module, task=task, listener=listener),
                device="cpu",
            )
            start = time.time()
            context = prepare_backbone(context)
        spent = time.time() - start
        head = read_head(context.backbone.module, context.backbone.transform, context.task.test)
        accuracy, start = float(head.correct(context.task.test.labels).mean()), time.time() - spent
    return {
        "case": case,
        "arm": arm,
        "seed": seed,
        "accuracy": f"{accuracy:.4f}",
        "seconds": f"{time.time() - start:.1f}",
        "how": next((text.removeprefix("backbone: ") for text in said if text.startswith("backbone: ")), ""),
    }


def main() -> None:
    """Run every arm that the CSV has no row for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--mnist", type=Path, default="mnist.npz", help="MNIST as arrays (default: %(default)s)")
    parser.add_argument("--weights", type=Path, default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="default: all")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="default: all")
    parser.add_argument("--out", type=Path, required=True, help="the CSV; rows that it has are not run again")
    given = parser.parse_args()
    rows = Rows(given.out, ("case", "arm", "seed"))
    wanted = ((case, arm, seed) for seed in range(given.seeds) for case in given.cases for arm in given.arms)
    missing = rows.missing(wanted)
    data = {name: dict(np.load(path)) for name, path in (("cifar", given.data), ("mnist", given.mnist))}
    torch.set_num_threads(1)
    for case, arm, seed in missing:
        rows.add(run(str(case), str(arm), int(str(seed)), given, data))


if __name__ == "__main__":
    main()
