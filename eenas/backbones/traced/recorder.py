"""The recorder of a forward pass: hooks that keep every module's output with its place in the autograd graph."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from eenas.backbones.dominators import Place, place_of
from eenas.backbones.gradient_tracking import TrackGradients
from eenas.backbones.layouts import LayoutHints
from eenas.backbones.models.block_names import has_weights


@dataclass(frozen=True, eq=False)
class RecordedOutput:
    """The output of a module, with its place in the autograd graph and its version at that time.

    `order` counts the layers with weights that had run by then, the module itself included.
    """

    tensor: Tensor
    place: Place
    version: int
    order: int


class Recorder:
    """Hooks on every module below `root` that record its output."""

    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self.weight_layers = 0
        self.starts: set[Place] = set()
        self.hints = LayoutHints()
        self.carried: Tensor | None = None
        self._calls: dict[str, int] = {}
        self._outputs: dict[str, RecordedOutput] = {}
        for name, part in root.named_modules():
            if name:
                part.register_forward_hook(partial(self._keep, name))
                part.register_forward_hook(self.hints.note)

    def begin(self, inputs: Tensor) -> Tensor:
        """Make the input the graph's leaf, and return a copy of it that the network may overwrite."""
        started = inputs.requires_grad_().clone()
        self.starts.add(place_of(started))
        return started

    def begin_at_embedding(self) -> None:
        """For integer inputs, make the first embedding's output the leaf."""
        first = next((part for part in self.root.modules() if isinstance(part, nn.Embedding)), None)
        if first is not None:
            first.register_forward_hook(lambda part, inputs, output: self.begin(output.detach()), prepend=True)

    def carry(self, tracked: TrackGradients, part: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        """Keep the carried columns, and cut them off the graph, in which they would bypass every cut point."""
        self.carried = tracked.stopped(output)
        return self.carried

    def outputs_called_once(self) -> dict[str, RecordedOutput]:
        """Return the outputs by module name in calling order, without those of repeated calls or overwritten later."""
        return {
            name: output
            for name, output in self._outputs.items()
            if self._calls[name] == 1 and output.tensor._version == output.version
        }

    def _keep(self, name: str, part: nn.Module, inputs: Any, output: Any) -> None:
        self._calls[name] = self._calls.get(name, 0) + 1
        self.weight_layers += has_weights(part)
        if isinstance(output, Tensor) and output.grad_fn is not None and output.is_floating_point():
            self._outputs[name] = RecordedOutput(output, place_of(output), output._version, self.weight_layers)
