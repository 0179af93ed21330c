"""Encoders of transformers that run one layer several times: a module behind each run, where they can be cut."""

from typing import Any

from torch import Tensor, nn


class RunEnd(nn.Identity):
    """Passes on the output of one run of a layer that runs several times. A block ends there."""


class SharedLayers(nn.Module):
    """The encoder of ALBERT (Lan et al. 2020, section 3.1), whose layers share their weights.

    A cut point is a module that runs once, so each run of a layer is followed by one of `runs`, which pass the tokens
    on. The names of the weights are those of the `encoder` of transformers.
    """

    def __init__(self, encoder: Any) -> None:
        from transformers.modeling_outputs import BaseModelOutput

        super().__init__()
        self.config = encoder.config
        self.embedding_hidden_mapping_in = encoder.embedding_hidden_mapping_in
        self.albert_layer_groups = encoder.albert_layer_groups
        self.runs = nn.ModuleList(RunEnd() for _ in range(self.config.num_hidden_layers))
        self._output = BaseModelOutput

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        """Map embedded tokens [N, L, E] to the output of the encoder of transformers."""
        tokens = self.embedding_hidden_mapping_in(hidden_states)
        for number, run in enumerate(self.runs):
            group = number * len(self.albert_layer_groups) // len(self.runs)
            tokens = run(self.albert_layer_groups[group](tokens, attention_mask, **options))
        return self._output(last_hidden_state=tokens)


def with_runs(model: Any) -> Any:
    """Return a model of transformers in which shared layers can be cut between their runs."""
    for part in list(model.modules()):
        for name, child in part.named_children():
            if type(child).__name__ == "AlbertTransformer":
                setattr(part, name, SharedLayers(child))
    return model
