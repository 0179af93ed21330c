"""A network in a folder: design, weights, policy and measured table; written by export and read by `eenas.load`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.backbones.transform import InputTransform
from eenas.designs.design import Design
from eenas.errors import ExportError
from eenas.files import write_whole
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.plugins import is_reference
from eenas.policies.threshold import ThresholdPolicy
from eenas.specs import from_table, to_table

FORMAT = 1
DESIGN, WEIGHTS, MANIFEST, CARD = "design.json", "weights.safetensors", "eenas.json", "README.md"


@dataclass(frozen=True, kw_only=True)
class Package:
    """What goes into a folder. `policy` is None for a network whose thresholds were not fitted.

    `measured` is a table of plain values: exits, operating points and the conditions of every measurement. `card` is
    the model card in Markdown.
    """

    network: EarlyExitNetwork
    backbone: BackboneSpec
    trained: bool
    measured: Mapping[str, Any]
    card: str


def write_folder(package: Package, out: Path) -> Path:
    """Write `package` to the folder `out`. Raises ExportError when the folder holds something else already."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MANIFEST).exists())):
        raise ExportError(f"{out}: exists and was not written by eenas; give a new or empty folder")
    network = package.network
    manifest = {
        "format": FORMAT,
        "trained": package.trained,
        "backbone": {"name": package.backbone.name},
        "transform": to_table(network.transform),
        "classes": list(network.classes),
        "exits": list(network.exits),
        "policy": None if network.policy is None else network.policy.to_table(),
        "measured": dict(package.measured),
    }
    write_whole(out / DESIGN, lambda file: file.write_text(network.design.to_json() + "\n"))
    save_weights(network, out / WEIGHTS)
    write_whole(out / CARD, lambda file: file.write_text(package.card))
    write_whole(out / MANIFEST, lambda file: file.write_text(json.dumps(manifest, indent=2) + "\n"))
    return out


def load(
    folder: str | Path, *, trust_code: bool = False, device: str | torch.device = "cpu", backbone: Any = None
) -> EarlyExitNetwork:
    """The network in a folder that `eenas export` wrote, in eval mode, with its policy.

    `forward(x)` gives all exits' logits for `[N, C, S, S]` floats made by `network.transform`; `predict(x)` stops
    early. A backbone that is code of the user's runs only with `trust_code`; one that was given as an `nn.Module` has
    to be given again as `backbone`. Raises ExportError for a folder that is not complete.
    """
    path = Path(folder)
    manifest = _manifest(path)
    design = load_design(path / DESIGN, trust_code=trust_code)
    transform = from_table(InputTransform, manifest["transform"])
    name = str(manifest["backbone"]["name"])
    if backbone is None and is_reference(name) and not name.startswith("torchvision:") and not trust_code:
        raise ExportError(f"{path}: its backbone {name!r} is Python code; pass trust_code=True if you trust it")
    found = load_backbone(
        backbone if backbone is not None else BackboneSpec(name=name),
        num_classes=design.num_classes,
        input_size=transform.size,
        channels=transform.channels,
        trust_code=trust_code,
        relative_to=Path.cwd(),
    )
    policy = manifest["policy"]
    network = build_network(
        design,
        found,
        policy=ThresholdPolicy.from_table(policy) if policy is not None else None,
        classes=tuple(manifest["classes"]),
    )
    network.transform = transform
    load_weights(network, path / WEIGHTS)
    return network.to(device).eval()


def load_design(path: str | Path, *, trust_code: bool = False) -> Design:
    """A design from a JSON file; one with branches of the user's own code loads only with `trust_code`.

    Raises ExportError when the file is missing, SpecError and DesignError when it is no design.
    """
    file = Path(path)
    try:
        return Design.from_json(file.read_text(encoding="utf-8"), file=str(file), trust_code=trust_code)
    except OSError as error:
        raise ExportError(f"{file}: cannot be read ({error.strerror}); give a design.json") from None
    except UnicodeDecodeError:
        raise ExportError(f"{file}: is not a design in JSON; give a design.json that eenas wrote") from None


def _manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise ExportError(f"{path}: has no {MANIFEST}; give a folder that `eenas export` wrote")
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError):
        raise ExportError(f"{file}: is not a manifest of eenas; export the network again") from None
    if found != FORMAT:
        raise ExportError(f"{file}: format {found}, this eenas reads format {FORMAT}; use the eenas that wrote it")
    return manifest
