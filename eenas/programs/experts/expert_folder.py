"""A model folder of a network with experts: weights, policy, measurements, and optionally ONNX programs."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from eenas.errors import ExportError
from eenas.files import write_atomically
from eenas.networks.checkpoint import load_part, write_state
from eenas.networks.experts.expert_network import ExpertNetwork, own_state
from eenas.networks.network import EarlyExitNetwork
from eenas.policies.experts.expert_policy import ExpertPolicy
from eenas.programs.experts.expert_facts import ExpertFacts, expert_facts
from eenas.programs.experts.expert_programs import write_expert_programs
from eenas.programs.manifest import MANIFEST, check_table, checksum, export_errors, read_table
from eenas.programs.model_folder import EXPERTS, Package, fill_folder, load_base, write_manifest


@dataclass(frozen=True, kw_only=True)
class ExpertPackage:
    """The content of a model folder with experts.

    `package` holds the network whose exits are the first expert, without a policy, and the figures of the network with
    experts. `temperatures` [experts][K] are those of confidences.
    """

    package: Package
    network: ExpertNetwork
    temperatures: tuple[tuple[float, ...], ...]


def fill_expert_folder(content: ExpertPackage, out: Path, *, programs: bool) -> None:
    """Write a network with experts into the folder `out`, the manifest last.

    Raises ExportError if ONNX does not support a part.
    """
    network = content.network
    fill_folder(content.package, out)
    table = read_table(out)
    write_atomically(out / EXPERTS, lambda file: write_state(own_state(network), file))
    facts = ExpertFacts(
        classifier=network.classifier,
        temperatures=content.temperatures,
        final_layer=network.final_layer,
        own_norms=network.own_norms,
    )
    table["experts"] = facts.to_table()
    table["policy"] = None if network.policy is None else network.policy.to_table()
    table["files"][EXPERTS] = checksum(out / EXPERTS)
    if programs:
        table["program"] = write_expert_programs(network, out)
    write_manifest(table, out)


def load_experts(folder: str | Path, *, trust_code: bool = False, backbone: nn.Module | None = None) -> ExpertNetwork:
    """Return the network with experts in a folder that `eenas experts` wrote, in eval mode, with its policy.

    `predict(x)` chooses the expert of each sample and stops early. `trust_code` and `backbone` are those of
    `eenas.load`. Raises ExportError for an incomplete folder and for one without experts.
    """
    path = Path(folder)
    table = read_table(path)
    if table.get("experts") is None:
        raise ExportError(f"{path}: has no experts; use eenas.load")
    base = load_base(path, trust_code=trust_code, backbone=backbone)
    base.policy = None
    with export_errors(path / MANIFEST):
        policy = check_table(table)
        facts = expert_facts(table["experts"], base.exits, base.transform.shape)
        _check_layer(base, facts.final_layer)
    with export_errors(path / MANIFEST, advice=""):
        own = policy if isinstance(policy, ExpertPolicy) else None
        network = ExpertNetwork(
            base, facts.classifier, final_layer=facts.final_layer, own_norms=facts.own_norms, policy=own
        )
        load_part(network, path / EXPERTS, own_state(network))
    return network.eval()


def _check_layer(base: EarlyExitNetwork, name: str | None) -> None:
    """Raise ExportError unless the backbone has a Linear layer of this name."""
    if name is None:
        return
    layer = dict(base.backbone.named_modules()).get(name)
    if not isinstance(layer, nn.Linear) or layer.out_features != base.design.num_classes or base.design.static:
        raise ExportError(f"experts.final_layer must be the Linear layer of the logits, got {name!r:.60}")
