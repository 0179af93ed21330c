"""A folder with a network's design, weights, policy and measurements, written by export and read by `eenas.load`."""

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
from eenas.backbones.models.hf_models import CONFIG_FILE
from eenas.backbones.models.names import HF, is_code, read_name
from eenas.backbones.transforms.kinds import transform_from_table
from eenas.bounds import MOST_JSON, read_file
from eenas.designs.design import Design
from eenas.errors import BackboneError, EenasError, ExportError, PluginError
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
from eenas.programs.manifest import (
    FORMAT,
    MANIFEST,
    certified,
    check_not_half,
    check_table,
    checksum,
    export_errors,
    read_table,
)
from eenas.programs.programs import RUNTIME, SINGLE_FILE, Programs, write_programs
from eenas.programs.remote.split_facts import TAIL
from eenas.programs.streams.network_points import seen_points_of
from eenas.seeding import seeded
from eenas.specs import from_table, to_table
from eenas.tasks.inputs import InputSpec
from eenas.tasks.kinds import load_kind
from eenas.tasks.text.tokenization import TOKENIZER_FILE
from eenas.training.strategies import STRATEGIES

DESIGN, WEIGHTS, CARD = "design.json", "weights.safetensors", "README.md"
EXPERTS = "experts.safetensors"
"""The file with the exits of all experts but the first, whose exits are those of the network itself."""
_LONGEST = 600  # characters of an error that repeats a value of a file
_NAMES = (SINGLE_FILE, RUNTIME, DESIGN, WEIGHTS, EXPERTS, CARD, TAIL, TOKENIZER_FILE, CONFIG_FILE)
_NUMBERED = (r"segment_\d+\.(onnx|pt2)", r"expert_\d+_(exit|segment)_\d+\.onnx")
_OURS = re.compile("|".join((*_NUMBERED, *map(re.escape, _NAMES))))
"""The names of all files except the manifest."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """The content of a model folder. The policy of `network` is None if no thresholds were fitted.

    `measured` is a table of plain values: exits, operating points and the conditions of every measurement. `card` is
    the model card in Markdown.
    """

    network: EarlyExitNetwork
    backbone: BackboneSpec
    trained: bool
    measured: Mapping[str, Any]
    card: str


def write_folder(package: Package, out: Path, programs: Programs | None = None) -> Path:
    """Write `package`, and the `programs` if given, to the folder `out`.

    An older export in `out` remains until the new one is complete. Raises ExportError if `out` contains other files, if
    the policy's kind cannot be loaded again, or if a program cannot be exported; StorageError if the folder cannot be
    written.
    """
    with new_model_folder(out) as work:
        fill_folder(package, work, programs)
    return out


@contextmanager
def new_model_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces the model folder `out` when the block ends. The user's files are kept.

    Raises ExportError if `out` contains other files, StorageError if it cannot be written.
    """
    check_replaceable(out)
    with replace_folder(out, keep=lambda name: name != MANIFEST and not _OURS.fullmatch(name)) as work:
        yield work


def fill_folder(package: Package, out: Path, programs: Programs | None = None) -> None:
    """Write `package` into the folder `out`, the manifest last. Raises the same errors as `write_folder`."""
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
        **seen_points_of(network),
        "policy": policy,
        "rule": to_table(Rule.of(network.design.policy)),
        "measured": dict(package.measured),
        **({} if program is None else {"program": program}),
    }
    write_text(out / DESIGN, network.design.to_json())
    save_weights(network, out / WEIGHTS)
    write_text(out / CARD, package.card)
    more = {**network.transform.files, **getattr(network.backbone, "folder_files", {})}
    for name, text in more.items():
        write_text(out / name, text)
    manifest["files"] = {name: checksum(out / name) for name in (DESIGN, WEIGHTS, *more)}
    write_manifest(manifest, out)


def write_manifest(manifest: Mapping[str, Any], out: Path) -> None:
    """Write or replace the manifest of a folder."""
    text = json.dumps(manifest, indent=2) + "\n"
    write_text(out / MANIFEST, text)


def check_replaceable(out: Path) -> None:
    """Raise ExportError if writing to the folder `out` would overwrite files that eenas did not write."""
    if not _is_replaceable(out):
        raise ExportError(f"{out}: exists and was not written by eenas; choose a new or empty folder")


def load(
    folder: str | Path,
    *,
    trust_code: bool = False,
    device: str | torch.device = "cpu",
    backbone: nn.Module | None = None,
) -> EarlyExitNetwork:
    """Return the network in a folder that `eenas export` wrote, in eval mode, with its policy.

    `forward(x)` returns the logits of all exits for `[N, ...]` floats from `network.transform`; `predict(x)` stops
    early. A backbone that is the user's code runs only with `trust_code`; a `./file.py` is searched for in the folder,
    then in the working folder. A backbone that was given as an `nn.Module` must be given again as `backbone`; a copy of
    it receives the weights. Raises ExportError for an incomplete folder and for one with experts (`load_experts`),
    DeviceError for an unavailable device.
    """
    if _manifest(Path(folder)).get("experts") is not None:
        raise ExportError(f"{folder}: has experts for distorted images; open it with eenas.load_experts")
    return load_base(folder, trust_code=trust_code, device=device, backbone=backbone)


def load_base(
    folder: str | Path,
    *,
    trust_code: bool = False,
    device: str | torch.device = "cpu",
    backbone: nn.Module | None = None,
) -> EarlyExitNetwork:
    """Return the network in a folder as `load` does, also if it has experts: then it has the exits of the first."""
    path = Path(folder)
    place = resolve_device(str(device))
    manifest = _manifest(path)
    load_policies(manifest, trust_code=trust_code, relative_to=path)
    load_kind(manifest.get("transform"), trust_code=trust_code, relative_to=path)
    with export_errors(path / MANIFEST):
        policy = check_table(manifest)
        from_table(Rule, manifest["rule"], key="rule")
    with export_errors(path / MANIFEST, advice=""), seeded(0):
        _check_files(path, manifest)
        design = load_design(path / DESIGN, trust_code=trust_code)
        _check_design(design, manifest)
        transform = transform_from_table(manifest["transform"], key="transform").with_files(path)
        _check_inputs(manifest, design, transform.inputs)
        name = str(manifest["backbone"]["name"])
        if name.startswith(HF) and (path / CONFIG_FILE).is_file():
            name = f"{HF}{path.resolve()}"
        check_code(name, given=backbone is not None, trust_code=trust_code)
        found = load_backbone(
            BackboneSpec(name=name, channels=transform.inputs.channels) if backbone is None else copy_of(backbone),
            num_classes=design.num_classes,
            inputs=transform.inputs,
            trust_code=trust_code,
            relative_to=path if os.path.isfile(path / name.rpartition(":")[0]) else None,
        )
        network = build_network(design, found, policy=policy, classes=tuple(manifest["classes"]))
        network.transform = transform
        network.certify(certified(manifest, policy))
        load_weights(network, path / WEIGHTS)
    return network.to(place).eval()


def check_code(name: str, *, given: bool, trust_code: bool) -> None:
    """Raise ExportError if this backbone is unknown, must be given as a module, or is code without `trust_code`."""
    if given:
        return
    if name.startswith("module:"):
        kind = name.removeprefix("module:")
        raise ExportError(f"the backbone was a Python module of type {kind}; give it again: backbone=...")
    if is_code(name) and not trust_code:
        raise ExportError(f"the backbone {name!r} is Python code; pass trust_code=True (--trust-code) if you trust it")
    try:
        read_name(name)
    except BackboneError as error:  # the name of a design is free if the module was given
        raise ExportError(f"if the backbone was a Python module, give it again: backbone=...; {error}") from None


def load_design(path: str | Path, *, trust_code: bool = False, relative_to: Path | None = None) -> Design:
    """Return a design from a JSON file. A design that names the user's own code loads only with `trust_code`.

    A `./file.py` is searched for in `relative_to` (default: the folder of the design), then in the working folder.
    Raises ExportError if the file cannot be read, SpecError and DesignError if it is not a design.
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
        raise ExportError(f"{file}: is not a JSON file; give a design.json that eenas wrote") from None
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ExportError(f"{file}: a value has the wrong type; give a design.json that eenas wrote") from error
    except PluginError:
        raise
    except EenasError as error:
        if len(str(error)) <= _LONGEST and str(error).isprintable():
            raise
        raise type(error)(f"{shown(str(error), _LONGEST)}; give a design.json that eenas wrote") from None


def _is_replaceable(out: Path) -> bool:
    """Whether `out` is new, empty, or holds only files that eenas wrote."""
    try:
        names = {item.name for item in out.iterdir()}
    except FileNotFoundError:
        return True
    except OSError:
        return False
    left = {name for name in names if not is_temporary(name)}
    return not left or MANIFEST in left or (left != {CARD} and all(_OURS.fullmatch(name) for name in left))


def _policy_table(policy: Policy | None) -> dict[str, Any] | None:
    """Return the policy as data, checked to be readable again."""
    if policy is None:
        return None
    table = policy.to_table()
    try:
        policy_from_table(table)
    except EenasError as error:
        raise ExportError(f"a model folder holds policies of eenas or of a search space, got: {error}") from None
    return table


def _check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise ExportError if a file differs from its checksum. Older manifests have no checksums of these files."""
    for name, digest in manifest.get("files", {}).items():
        if (path / name).is_file() and (found := checksum(path / name)) != digest:
            raise ExportError(
                f"{path / name}: has the checksum {found[:12]}, the manifest {digest[:12]}; copy it again"
            )


def _check_design(design: Design, manifest: Mapping[str, Any]) -> None:
    """Raise ExportError if the design belongs to another network than the manifest."""
    classes = manifest["classes"]
    if classes and len(classes) != design.num_classes:
        raise ExportError(f"the design has {design.num_classes:,} classes, the manifest {len(classes):,}; export again")
    if list(design.exits) != manifest["exits"]:
        raise ExportError(f"the design has exits {list(design.exits)}, the manifest {manifest['exits']}; export again")


def _check_inputs(manifest: Mapping[str, Any], design: Design, taken: InputSpec) -> None:
    """Raise ExportError if the inputs of manifest or design differ from those of the transform. 0.1 wrote no inputs."""
    stated = InputSpec.from_table(manifest["inputs"], key="inputs") if "inputs" in manifest else taken
    for what, each in (("manifest's inputs", stated), ("design's inputs", design.inputs)):
        if not each.agrees(taken):
            raise ExportError(f"the {what} are {each}, but its transform takes {taken}; export the network again")


def _manifest(path: Path) -> dict[str, Any]:
    if not (path / MANIFEST).is_file() and (path / DESIGN).is_file():
        raise ExportError(f"{path}: has no {MANIFEST}; it is a run or incomplete; `eenas export` writes one")
    table = read_table(path)
    check_not_half(table, path)
    return table
