"""The transform of graphs: padded batches pass as they are."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eenas.backbones.transforms.transform import Transform
from eenas.errors import BackboneError, TaskError
from eenas.tasks.graphs.graph_input import FEATURES, NODES, SLOTS, columns_of, graph_input, graph_option
from eenas.tasks.graphs.graph_values import GraphValues, padded
from eenas.tasks.inputs import InputSpec
from eenas.tasks.task import Task

KIND = "graphs"


@dataclass(frozen=True)
class GraphTransform(Transform):
    """Padded graphs float32 [N, M, columns] to the same, for any M; see `eenas.tasks.graphs.graph_input`.

    `features` and `slots` are those of the nodes, and `nodes` the size of the reference graph, at which costs are
    stated.
    """

    features: int
    slots: int
    nodes: int

    def __post_init__(self) -> None:
        """Raise BackboneError for sizes that no graph has."""
        try:
            graph_input(self.features, self.slots, self.nodes)
        except TaskError as error:
            raise BackboneError(str(error)) from None

    @classmethod
    def of(cls, inputs: InputSpec) -> "GraphTransform":
        """Return the transform for the inputs of a task of graphs."""
        features, slots, nodes = (graph_option(inputs, name) for name in (FEATURES, SLOTS, NODES))
        return cls(features, slots, nodes)

    @property
    def inputs(self) -> InputSpec:
        """Graphs with these features and edge slots."""
        return graph_input(self.features, self.slots, self.nodes)

    @property
    def shape(self) -> tuple[int, int]:
        """(nodes, columns) of the reference graph."""
        return (self.nodes, columns_of(self.features, self.slots))

    @property
    def varying(self) -> tuple[int, ...]:
        """The axis of the nodes."""
        return (1,)

    def example(self, batch: int = 2) -> Tensor:
        """Return graphs of the reference size, some a node smaller, with normal features and random edges."""
        generator = np.random.Generator(np.random.PCG64(0))
        graphs = []
        for number in range(batch):
            nodes = max(1, self.nodes - number % 2)
            edges = generator.integers(0, nodes, size=(2, nodes * self.slots))
            graphs.append((generator.standard_normal((nodes, self.features)).astype(np.float32), edges))
        found = padded(graphs, self.features, self.slots)
        return torch.nn.functional.pad(found, (0, 0, 0, self.nodes - found.shape[1]))

    def to_table(self) -> dict[str, Any]:
        """Plain data, marked by its kind."""
        return {"kind": KIND, "features": self.features, "slots": self.slots, "nodes": self.nodes}

    def is_raw(self, batch: Tensor) -> bool:
        """Whether the batch is not of floats. Raw and transformed graphs are equal."""
        return not batch.is_floating_point()

    def sized(self, inputs: InputSpec) -> "GraphTransform":
        """With the edge slots and the reference size of the task's graphs."""
        found = GraphTransform.of(inputs)
        if found.features != self.features:
            raise BackboneError(f"takes {self.features} features a node, and the task has {found.features}")
        return replace(self, slots=found.slots, nodes=found.nodes)

    def fitted(self, task: Task) -> "GraphTransform":
        """Unchanged: nothing is measured."""
        if not isinstance(task.train.samples, GraphValues):
            raise TaskError(f"{task.name}: the backbone takes {self.inputs}, and the samples are {task.inputs}")
        return self

    def __call__(self, samples: Tensor) -> Tensor:
        """Return a batch as float32. Raises BackboneError for other shapes or types."""
        columns = self.shape[1]
        if not samples.is_floating_point() or samples.ndim != 3 or samples.shape[2] != columns:
            raise BackboneError(
                f"the transform takes floats [N, nodes, {columns}], got {samples.dtype} {list(samples.shape)}"
            )
        return samples.to(torch.float32)
