"""Graph networks of the user, with `forward(x, edge_index, batch)`: traced and split into packed parts."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from eenas.backbones.graphs.geometric import installed_layers
from eenas.backbones.graphs.graph_batch import GraphBatch
from eenas.backbones.graphs.message_counts import passes_messages
from eenas.backbones.graphs.packed_module import PackedModule
from eenas.bounds import shortened_error
from eenas.errors import CutError, plural
from eenas.tasks.graphs.graph_input import FEATURES, graph_option
from eenas.tasks.inputs import InputSpec

NAMES = ("x", "edge_index", "batch")
_NODES = 7
_FIX = "give an nn.Sequential of eenas.backbones.graphs.GraphBlock, or write the layers as calls of modules on x"


def takes_graphs(module: nn.Module) -> bool:
    """Whether a module has the signature of torch_geometric's networks for graphs: `forward(x, edge_index, batch)`."""
    try:
        return tuple(inspect.signature(module.forward).parameters)[:3] == NAMES
    except (TypeError, ValueError):
        return False


def split_graphs(module: nn.Module, inputs: InputSpec, label: str) -> nn.Module:
    """Return a sequence of packed parts that compute what `module` computes, and share its layers.

    A part ends behind each message-passing layer, or behind the activation, normalisation and dropout after it,
    wherever the later layers need nothing else of the earlier ones than the features of the nodes. Values computed from
    `edge_index` and `batch` alone are computed in each part. The last part gives the logits.

    Raises CutError if the module cannot be traced, since its code depends on values, or has no such place.
    """
    graphs = {mode: _traced(module, mode, label) for mode in (True, False)}
    width = graph_option(inputs, FEATURES)
    shapes = _shapes(module, graphs[False], width, label)
    cuts = {mode: _cuts(graph, module, shapes, label) for mode, graph in graphs.items()}
    if [node.name for _, node in cuts[True]] != [node.name for _, node in cuts[False]]:
        raise CutError(f"{label} runs other layers in training than in evaluation, so it cannot be cut; {_FIX}")
    places = {mode: [node for _, node in found] for mode, found in cuts.items()}
    parts: list[tuple[str, nn.Module]] = []
    names = _different([*(name.replace(".", "_") for name, _ in cuts[False]), "output"])
    for index, name in enumerate(names):
        made = {mode: _part(module, graph, places[mode], index) for mode, graph in graphs.items()}
        parts.append((name, GraphPart(made[True], made[False], width, is_last=index == len(names) - 1)))
        if index < len(names) - 1:
            width = shapes[places[False][index].name][1]
    return nn.Sequential(OrderedDict(parts))


def _different(names: list[str]) -> list[str]:
    """Return the names, with a number behind those that come again: a layer may be called twice."""
    found: list[str] = []
    for name in names:
        count = 1
        while (shown := name if count == 1 else f"{name}_{count}") in found:
            count += 1
        found.append(shown)
    return found


class GraphPart(PackedModule):
    """A part of the user's network, [N, M, D + c] to [N, M, D' + c], or to the logits [N, classes] if `is_last`.

    The user's code may differ between training and evaluation (`F.dropout(x, training=self.training)`), so that both
    are kept; they share all layers.
    """

    def __init__(self, training: fx.GraphModule, evaluation: fx.GraphModule, inputs: int, *, is_last: bool) -> None:
        super().__init__(inputs)
        self.part = training
        self.is_last = is_last
        self._evaluation = [evaluation]  # in a list, or its layers would be registered a second time

    def forward(self, packed: Tensor) -> Tensor:
        """Return the packed features behind the part, or the logits."""
        batch = GraphBatch.of(packed, self.inputs)
        part = self.part if self.training else self._evaluation[0]
        found = part(batch.x, batch.edges, batch.graph_of, batch.graphs)
        return batch.of_graphs(found) if self.is_last else batch.repacked(found)


class _GraphTracer(fx.Tracer):
    """Traces the user's code; layers of torch, torch_geometric and eenas, and poolings, are single steps."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one step: a layer of a library, or one that passes messages."""
        is_library = type(m).__module__.startswith(("torch.nn", "torch_geometric"))
        return passes_messages(m) or (is_library and not isinstance(m, nn.Sequential))


def _traced(module: nn.Module, mode: bool, label: str) -> fx.Graph:
    was = [(part, part.training) for part in module.modules()]
    module.train(mode)
    tracer = _GraphTracer(autowrap_modules=tuple(_modules()), autowrap_functions=tuple(_poolings().values()))
    extra = {
        name: parameter.default
        for name, parameter in list(inspect.signature(module.forward).parameters.items())[3:]
        if parameter.default is not inspect.Parameter.empty
    }
    try:
        return tracer.trace(module, concrete_args=extra or None)
    except Exception as error:  # the user's code may raise anything
        raise CutError(
            f"{label} cannot be traced ({type(error).__name__}: {shortened_error(error)}), so it cannot be cut; {_FIX}"
        ) from error
    finally:
        for part, training in was:
            part.training = training


def _modules() -> Iterable[Any]:
    import math

    yield math
    if (layers := installed_layers()) is not None:
        yield layers


def _poolings() -> dict[str, Callable[..., Any]]:
    """Return torch_geometric's functions that pool the nodes of each graph, whose number of graphs is passed on."""
    names = ("global_add_pool", "global_mean_pool", "global_max_pool")
    layers = installed_layers()
    return {} if layers is None else {name: getattr(layers, name) for name in names}


class _Shapes(fx.Interpreter):
    """Runs the user's code step by step and notes the shape of each tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one step."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.found[n.name] = tuple(value.shape)
        return value


@torch.no_grad()
def _shapes(module: nn.Module, graph: fx.Graph, features: int, label: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of the value of each step on two graphs with _NODES nodes in all, in eval mode."""
    was = [(part, part.training) for part in module.modules()]
    module.eval()
    parameter = next(module.parameters(), None)
    device = None if parameter is None else parameter.device
    edges = torch.tensor([[0, 1, 4, 5], [1, 0, 5, 4]], device=device)
    graph_of = torch.tensor([0] * 4 + [1] * (_NODES - 4), device=device)
    shapes = _Shapes(fx.GraphModule(module, graph))
    try:
        shapes.run(torch.zeros(_NODES, features, device=device), edges, graph_of)
    except Exception as error:  # the user's code may raise anything
        raise CutError(
            f"{label} does not run on nodes with {plural(features, 'feature')} ({type(error).__name__}: "
            f"{shortened_error(error)}); give a network for the features of the task"
        ) from error
    finally:
        for part, training in was:
            part.training = training
    return shapes.found


def _cuts(
    graph: fx.Graph, module: nn.Module, shapes: dict[str, tuple[int, ...]], label: str
) -> list[tuple[str, fx.Node]]:
    """Return the name of each cut and the step whose value crosses it, in order."""
    steps = [node for node in graph.nodes if node.op not in ("output", "get_attr")]
    order = {node: place for place, node in enumerate(graph.nodes)}
    free = _independent(graph)
    bound = [node for node in steps if node not in free]
    last_use = {node: max((order[user] for user in node.users), default=-1) for node in bound}
    calls = [node for node in bound if node.op == "call_module"]
    layers = [node for node in calls if passes_messages(module.get_submodule(str(node.target)))]
    found: list[tuple[str, fx.Node]] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        end = order[following] if following is not None else len(order)
        within = [node for node in bound if order[layer] <= order[node] < end]
        of_nodes = [node for node in within if len(shape := shapes.get(node.name, ())) == 2 and shape[0] == _NODES]
        alone = [
            node
            for node in of_nodes
            if all(last_use[other] <= order[node] for other in bound if order[other] < order[node])
        ]
        if alone:
            found.append((str(layer.target), alone[-1]))
    if not found:
        raise CutError(
            f"{label} has no cut point: behind no message-passing layer is one tensor of node features all that the "
            f"later layers use (a jumping connection to the classifier, for example, needs them all; a layer "
            f"is known by its class, MessagePassing of torch_geometric or MessageLayer of eenas); {_FIX}"
        )
    return found


def _independent(graph: fx.Graph) -> set[fx.Node]:
    """Return the steps whose values do not depend on the node features."""
    free: set[fx.Node] = set()
    for node in graph.nodes:
        given = node.op == "get_attr" or (node.op == "placeholder" and node.target != NAMES[0])
        computed = node.op not in ("placeholder", "output") and all(each in free for each in node.all_input_nodes)
        if given or computed:
            free.add(node)
    return free


def _part(module: nn.Module, graph: fx.Graph, cuts: list[fx.Node], index: int) -> fx.GraphModule:
    """Return the part between two cuts as a module of (x, edge_index, batch, graphs)."""
    start = cuts[index - 1] if index else None
    output = next(node for node in graph.nodes if node.op == "output")
    end: fx.Node = cuts[index] if index < len(cuts) else output.args[0]
    made = fx.Graph()
    placeholders = {name: made.placeholder(name) for name in (*NAMES, "graphs")}
    copied: dict[fx.Node, fx.Node] = {}
    if start is not None:
        copied[start] = placeholders["x"]
    needed: set[fx.Node] = set()
    waiting = [end]
    while waiting:
        node = waiting.pop()
        if node not in needed and node not in copied:
            needed.add(node)
            waiting += node.all_input_nodes
    poolings = _poolings().values()
    for node in graph.nodes:
        if node not in needed:
            continue
        if node.op == "placeholder":
            if node.target in placeholders:
                copied[node] = placeholders[node.target]
            continue
        copied[node] = made.node_copy(node, lambda each: copied[each])
        if node.op == "call_function" and node.target in poolings and "size" not in node.kwargs and len(node.args) < 3:
            copied[node].kwargs = {**copied[node].kwargs, "size": placeholders["graphs"]}
    made.output(copied[end])
    made.lint()
    return fx.GraphModule(module, made)
