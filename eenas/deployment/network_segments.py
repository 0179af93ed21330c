"""A model folder without programs, opened as one with them: its network's own segments, in torch."""

from pathlib import Path

import torch
from torch import Tensor, nn

from eenas.backbones.transforms.kinds import transform_from_table
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.prediction import Steps
from eenas.programs.manifest import MANIFEST, one_error, read_manifest, read_table
from eenas.programs.model_folder import load
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import Array
from eenas.tasks.inputs import InputSpec


def open_network(folder: Path, *, trust_code: bool = False, backbone: nn.Module | None = None) -> ExportedModel:
    """The network in a folder, with the `predict` of exported models; `trust_code` and `backbone` as in `eenas.load`.

    Raises ExportError for a folder that is not whole.
    """
    return as_model(load(folder, trust_code=trust_code, backbone=backbone), folder)


def as_model(network: EarlyExitNetwork, folder: Path) -> ExportedModel:
    """A network that was loaded from `folder`, segment by segment, as `predict` runs it."""
    device = next(network.parameters()).device
    steps = network.steps(torch.zeros(2, *network.transform.shape, device=device))
    segments = tuple(_Segment(steps, k, device) for k in range(len(steps.exits)))
    return ExportedModel(read_manifest(folder, programs=False), segments)


def inputs_of(model: ExportedModel) -> InputSpec:
    """The samples that a model was made for, as its manifest says. Raises ExportError for a manifest that is spoilt."""
    folder = model.manifest.folder
    with one_error(folder / MANIFEST):
        return transform_from_table(read_table(folder)["transform"]).inputs


class _Segment:
    """See `eenas.programs.segments.Segment`."""

    def __init__(self, steps: Steps, k: int, device: torch.device) -> None:
        self._steps, self._k, self._device = steps, k, device

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run it."""
        with torch.inference_mode():
            features = self._steps.segments[self._k](self._tensor(x))
            logits = self._steps.logits(self._k, features, None if previous is None else self._tensor(previous))
        last = self._k == len(self._steps.exits) - 1
        return (None if last else features.cpu().numpy()), logits.cpu().numpy()

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self._device)
