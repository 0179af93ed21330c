"""A model folder without programs, opened like one with programs: its network's segments run in torch."""

from pathlib import Path

import torch
from torch import Tensor, nn

from eenas.backbones.transforms.kinds import transform_from_table
from eenas.networks.network import EarlyExitNetwork
from eenas.networks.prediction import PredictionSteps
from eenas.programs.manifest import MANIFEST, export_errors, read_manifest, read_table
from eenas.programs.model_folder import load
from eenas.programs.runtime import ExportedModel
from eenas.programs.segments import Array
from eenas.tasks.inputs import InputSpec


def open_network(folder: Path, *, trust_code: bool = False, backbone: nn.Module | None = None) -> ExportedModel:
    """Open the network in a folder as an exported model. `trust_code` and `backbone` are those of `eenas.load`.

    Raises ExportError for an incomplete folder.
    """
    return as_model(load(folder, trust_code=trust_code, backbone=backbone), folder)


def as_model(network: EarlyExitNetwork, folder: Path) -> ExportedModel:
    """Return an exported model that runs the segments of a network loaded from `folder`."""
    device = next(network.parameters()).device
    steps = network.steps(network.transform.example(2).to(device))
    segments = tuple(_Segment(steps, k, device) for k in range(len(steps.exits)))
    return ExportedModel(read_manifest(folder, programs=False), segments)


def inputs_of(model: ExportedModel) -> InputSpec:
    """Return the inputs of a model from its manifest. Raises ExportError for a damaged manifest."""
    folder = model.manifest.folder
    with export_errors(folder / MANIFEST):
        return transform_from_table(read_table(folder)["transform"]).inputs


class _Segment:
    """See `eenas.programs.segments.Segment`."""

    def __init__(self, steps: PredictionSteps, k: int, device: torch.device) -> None:
        self._steps, self._k, self._device = steps, k, device

    def __call__(self, x: Array, previous: Array | None) -> tuple[Array | None, Array]:
        """Run the segment."""
        with torch.inference_mode():
            features = self._steps.segments[self._k](self._tensor(x))
            logits = self._steps.logits(self._k, features, None if previous is None else self._tensor(previous))
        last = self._k == len(self._steps.exits) - 1
        return (None if last else features.cpu().numpy()), logits.cpu().numpy()

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self._device)
