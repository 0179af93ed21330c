"""A network in a folder: design, weights, policy and measured table; written by export and read by `eenas.load`."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eenas.backbones.copies import copy_of
from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.bounds import MOST_JSON, read_file
from eenas.designs.design import Design
from eenas.errors import EenasError, ExportError, PluginError
from eenas.files import is_temporary, replace_folder, write_text
from eenas.measurement.devices import resolve_device
from eenas.networks.assembly import build_network
from eenas.networks.checkpoint import load_weights, save_weights
from eenas.networks.network import EarlyExitNetwork
from eenas.plugins import is_reference
from eenas.policies.kinds.registry import load_policies, policy_from_table
from eenas.policies.policy import Policy
from eenas.policies.rule import Rule
from eenas.programs.json_files import shown
from eenas.programs.manifest import FORMAT, MANIFEST, checksum, one_error, read_table
from eenas.programs.manifest_checks import check_network
from eenas.programs.programs import RUNTIME, SINGLE_FILE, Programs, write_programs
from eenas.seeding import seeded
from eenas.specs import to_table
from eenas.tasks.inputs import InputSpec
from eenas.training.strategies import STRATEGIES

DESIGN, WEIGHTS, CARD = "design.json", "weights.safetensors", "README.md"
_LONGEST = 600  # an error that repeats a value of a file
_NAMES = (SINGLE_FILE, RUNTIME, DESIGN, WEIGHTS, CARD)
_OURS = re.compile("|".join((r"segment_\d+\.(onnx|pt2)", *map(re.escape, _NAMES))))
"""The names of all files but the manifest."""


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


def write_folder(package: Package, out: Path, programs: Programs | None = None) -> Path:
    """Write `package` to the folder `out`, with programs where they are wanted.

    An older export there stays until the new one is whole. Raises ExportError when the folder holds something else
    already, for a policy of a kind that nobody can name (a folder could not give it back), and for what a program
    cannot hold; StorageError where nothing can be written.
    """
    with new_model_folder(out) as work:
        fill_folder(package, work, programs)
    return out


@contextmanager
def new_model_folder(out: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of the model folder `out` once the block ends; the user's files stay.

    Raises ExportError when `out` holds something else, StorageError where nothing can be written.
    """
    check_free(out)
    with replace_folder(out, keep=lambda name: name != MANIFEST and not _OURS.fullmatch(name)) as work:
        yield work


def fill_folder(package: Package, out: Path, programs: Programs | None = None) -> None:
    """Write `package` into the folder `out`, the manifest last; for what it raises see `write_folder`."""
    policy = _policy_table(package.network.policy)
    network = package.network
    program = None if programs is None else write_programs(network, programs, out)
    manifest = {
        "format": FORMAT,
        "trained": package.trained,
        "backbone": {"name": package.backbone.name},
        "inputs": network.transform.inputs.to_table(),
        "transform": to_table(network.transform),
        "classes": list(network.classes),
        "exits": list(network.exits),
        "policy": policy,
        "rule": to_table(Rule.of(network.design.policy)),
        "measured": dict(package.measured),
        **({} if program is None else {"program": program}),
    }
    write_text(out / DESIGN, network.design.to_json())
    save_weights(network, out / WEIGHTS)
    write_text(out / CARD, package.card)
    manifest["files"] = {name: checksum(out / name) for name in (DESIGN, WEIGHTS)}
    write_manifest(manifest, out)


def write_manifest(manifest: Mapping[str, Any], out: Path) -> None:
    """Write the manifest of a folder, anew or for the first time."""
    text = json.dumps(manifest, indent=2) + "\n"
    write_text(out / MANIFEST, text)


def check_free(out: Path) -> None:
    """Raise ExportError when something of somebody else's would be lost in the folder `out`."""
    if not _is_free(out):
        raise ExportError(f"{out}: exists and was not written by eenas; give a new or empty folder")


def load(
    folder: str | Path,
    *,
    trust_code: bool = False,
    device: str | torch.device = "cpu",
    backbone: nn.Module | None = None,
) -> EarlyExitNetwork:
    """The network in a folder that `eenas export` wrote, in eval mode, with its policy.

    `forward(x)` gives all exits' logits for `[N, ...]` floats made by `network.transform`; `predict(x)` stops
    early. A backbone that is code of the user's runs only with `trust_code` (a `./file.py` is looked for in the folder,
    then in the working folder); one that was given as an `nn.Module` has to be given again as `backbone`, and a copy of
    it gets the weights. Raises ExportError for a folder that is not complete, DeviceError.
    """
    path = Path(folder)
    place = resolve_device(str(device))
    manifest = _manifest(path)
    load_policies(manifest, trust_code=trust_code, relative_to=path)
    with one_error(path / MANIFEST):
        policy = check_network(manifest)
    with one_error(path / MANIFEST, advice=""), seeded(0):
        _check_files(path, manifest)
        design = load_design(path / DESIGN, trust_code=trust_code)
        _check_design(design, manifest)
        transform = transform_from_table(manifest["transform"], key="transform")
        _check_inputs(manifest, design, transform.inputs)
        name = str(manifest["backbone"]["name"])
        check_code(name, given=backbone is not None, trust_code=trust_code)
        found = load_backbone(
            BackboneSpec(name=name, channels=transform.inputs.size("channel"))
            if backbone is None
            else copy_of(backbone),
            num_classes=design.num_classes,
            inputs=transform.inputs,
            trust_code=trust_code,
            relative_to=path if os.path.isfile(path / name.rpartition(":")[0]) else None,
        )
        network = build_network(design, found, policy=policy, classes=tuple(manifest["classes"]))
        network.transform = transform
        load_weights(network, path / WEIGHTS)
    return network.to(place).eval()


def check_code(name: str, *, given: bool, trust_code: bool) -> None:
    """Refuse a backbone by this name that has to be given as a module, or is Python code without the user's word."""
    if given:
        return
    if name.startswith("module:"):
        kind = name.removeprefix("module:")
        raise ExportError(f"the backbone was given from Python as a {kind}; give the module again: backbone=...")
    if is_reference(name) and not name.startswith("torchvision:") and not trust_code:
        raise ExportError(f"the backbone {name!r} is Python code; pass trust_code=True (--trust-code) if you trust it")


def load_design(path: str | Path, *, trust_code: bool = False, relative_to: Path | None = None) -> Design:
    """A design from a JSON file; one that names the user's own code loads only with `trust_code`.

    A `./file.py` is looked for in `relative_to` (default: beside the design), then in the working folder.
    Raises ExportError when the file is missing, SpecError and DesignError when it is no design.
    """
    file = Path(path)
    try:
        text = read_file(file, MOST_JSON).decode()
        design = Design.from_json(text, file=str(file), trust_code=trust_code, relative_to=relative_to)
        if is_reference(strategy := design.training.strategy):
            STRATEGIES.find(strategy, trust_code=trust_code, relative_to=relative_to or file.parent)
        return design
    except OSError as error:
        raise ExportError(f"{file}: cannot be read ({error.strerror}); give a design.json") from None
    except UnicodeDecodeError:
        raise ExportError(f"{file}: is not a design in JSON; give a design.json that eenas wrote") from None
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ExportError(f"{file}: a value has another kind; give a design.json that eenas wrote") from error
    except PluginError:
        raise
    except EenasError as error:
        if len(str(error)) <= _LONGEST and str(error).isprintable():
            raise
        raise type(error)(f"{shown(str(error), _LONGEST)}; give a design.json that eenas wrote") from None


def _is_free(out: Path) -> bool:
    """Whether nothing of somebody else's would be lost in `out`: it is new, empty or holds only what eenas wrote."""
    try:
        names = {item.name for item in out.iterdir()}
    except FileNotFoundError:
        return True
    except OSError:
        return False
    left = {name for name in names if not is_temporary(name)}
    return not left or MANIFEST in left or (left != {CARD} and all(_OURS.fullmatch(name) for name in left))


def _policy_table(policy: Policy | None) -> dict[str, Any] | None:
    """The policy as data, once it is sure that it can be read again."""
    if policy is None:
        return None
    table = policy.to_table()
    try:
        policy_from_table(table)
    except EenasError as error:
        raise ExportError(f"a folder takes policies of eenas's kinds and those that a space names: {error}") from None
    return table


def _check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise ExportError where a file is not the one that was exported; older manifests have no checksums of them."""
    for name, digest in manifest.get("files", {}).items():
        if (path / name).is_file() and (found := checksum(path / name)) != digest:
            raise ExportError(
                f"{path / name}: has the checksum {found[:12]}, the manifest {digest[:12]}; copy it again"
            )


def _check_design(design: Design, manifest: Mapping[str, Any]) -> None:
    """Raise ExportError for a design of another network, before any of it is built."""
    classes = manifest["classes"]
    if classes and len(classes) != design.num_classes:
        raise ExportError(f"the design is for {design.num_classes:,} classes, the manifest names {len(classes):,}")
    if list(design.exits) != manifest["exits"]:
        raise ExportError(f"the design has the exits {list(design.exits)}, the manifest {manifest['exits']}")


def _check_inputs(manifest: Mapping[str, Any], design: Design, taken: InputSpec) -> None:
    """Raise ExportError where manifest or design are for other samples than its transform; 0.1 names none."""
    stated = InputSpec.from_table(manifest["inputs"], key="inputs") if "inputs" in manifest else taken
    for what, each in (("manifest's inputs", stated), ("design's inputs", design.inputs)):
        if not each.agrees(taken):
            raise ExportError(f"the {what} are {each}, its transform takes {taken}; export the network again")


def _manifest(path: Path) -> dict[str, Any]:
    if not (path / MANIFEST).is_file() and (path / DESIGN).is_file():
        raise ExportError(f"{path}: has no {MANIFEST}, so it is a run or not whole; `eenas export` writes one")
    return read_table(path)
