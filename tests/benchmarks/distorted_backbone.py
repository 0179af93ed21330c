"""The accuracy of a plain ResNet-20 on distorted CIFAR-10 test images: every kind at every severity.

    python tests/benchmarks/distorted_backbone.py --out docs/distorted_backbone.csv

The first `--images` test images are distorted, in the same way for every kind. Kinds in the CSV are not run again.
`--data cifar10.npz --weights cifar10_resnet20.safetensors` name the images and a trained ResNet-20.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.tasks.distortions.distortion import distort_each
from eenas.tasks.distortions.strengths import SEVERITIES, SMALL

HEAD = ("kind", "images", "pristine", *(f"severity_{each}" for each in SEVERITIES))


def main() -> None:
    """Write a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10.npz", help="CIFAR-10 as arrays (default: %(default)s)")
    parser.add_argument("--weights", default="cifar10_resnet20.safetensors", help="a trained ResNet-20")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with np.load(given.data) as arrays:
        images, labels = arrays["test_x"][: given.images], arrays["test_y"][: given.images]
    images = np.ascontiguousarray(np.moveaxis(images, 3, 1))
    backbone = load_backbone(BackboneSpec(name="cifar_resnet20", weights=given.weights), num_classes=10)
    backbone.module.eval()

    @torch.inference_mode()
    def accuracy(shown: NDArray[np.uint8]) -> float:
        right = 0
        for first in range(0, len(shown), 250):
            part = slice(first, first + 250)
            logits = backbone.module(backbone.transform(torch.from_numpy(shown[part])))
            right += int((logits.argmax(dim=1).numpy() == labels[part]).sum())
        return right / len(shown)

    known = set()
    if given.out.exists():
        with given.out.open(encoding="utf-8") as stream:
            known = {row["kind"] for row in csv.DictReader(stream)}
    pristine = f"{accuracy(images):.3f}"
    with given.out.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if not known:
            writer.writerow(HEAD)
        for kind in (each for each in SMALL if each not in known):
            row = []
            for severity in SEVERITIES:
                generators = [np.random.default_rng((0, number)) for number in range(len(images))]
                row.append(f"{accuracy(distort_each(images, kind, severity, generators)):.3f}")
            writer.writerow((kind, len(images), pristine, *row))
            stream.flush()


if __name__ == "__main__":
    main()
