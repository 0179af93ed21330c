"""Graph networks of the user, with `forward(x, edge_index, batch)`: traced and split into packed parts."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from eenas.backbones.graphs.geometric import installed_layers
from eenas.backbones.graphs.graph_batch import GraphBatch
from eenas.backbones.graphs.packed_module import PackedModule
from eenas.bounds import shortened_error
from eenas.errors import CutError
from eenas.tasks.graphs.graph_input import FEATURES, graph_option
from eenas.tasks.inputs import InputSpec

NAMES = ("x", "edge_index", "batch")
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
    cuts = _cuts(graphs[True], module, label)
    if [name for name, _ in cuts] != [name for name, _ in _cuts(graphs[False], module, label)]:
        raise CutError(f"{label} runs other layers in training than in evaluation, so it cannot be cut; {_FIX}")
    places = {mode: [node for _, node in _cuts(graph, module, label)] for mode, graph in graphs.items()}
    width = graph_option(inputs, FEATURES)
    parts: list[tuple[str, nn.Module]] = []
    names = [*(name.replace(".", "_") for name, _ in cuts), "output"]
    for index, name in enumerate(names):
        made = {mode: _part(module, graph, places[mode], index) for mode, graph in graphs.items()}
        part = GraphPart(made[True], made[False], width, is_last=index == len(cuts))
        parts.append((name, part))
        if index < len(cuts):
            width = _width(part, width, label)
    return nn.Sequential(OrderedDict(parts))


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
        return _is_message_layer(m) or (is_library and not isinstance(m, nn.Sequential))


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


def _cuts(graph: fx.Graph, module: nn.Module, label: str) -> list[tuple[str, fx.Node]]:
    """Return the name of each cut and the step whose value crosses it, in order."""
    steps = [node for node in graph.nodes if node.op not in ("placeholder", "output", "get_attr")]
    free = _independent(graph)
    order = {node: place for place, node in enumerate(graph.nodes)}
    last_use = {node: max((order[user] for user in node.users), default=-1) for node in steps}
    layers = [node for node in steps if node.op == "call_module" and _passes_messages(module, str(node.target))]
    inputs = next((node for node in graph.nodes if node.op == "placeholder" and node.target == NAMES[0]), None)
    found: list[tuple[str, fx.Node]] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        end = order[following] if following is not None else len(order)
        best = None
        for node in steps:
            if not order[layer] <= order[node] < end or node in free:
                continue
            if _is_pooling(node, module):
                break
            alone = all(
                last_use[other] <= order[node] or other in free or other is node
                for other in steps
                if order[other] < order[node]
            )
            alone = alone and (inputs is None or all(order[user] <= order[node] for user in inputs.users))
            best = node if alone and _keeps_nodes(node, layer, module) else best
        if best is not None:
            found.append((str(layer.target), best))
    if not found:
        raise CutError(
            f"{label} has no cut point: behind no message-passing layer is one tensor of node features all that the "
            f"later layers use (a jumping connection to the classifier, for example, needs them all); {_FIX}"
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


def _passes_messages(module: nn.Module, name: str) -> bool:
    return _is_message_layer(module.get_submodule(name))


def _is_message_layer(layer: nn.Module) -> bool:
    """Whether a layer passes messages: it derives from torch_geometric's class for that, or from eenas's."""
    return any(kind.__name__ in ("MessagePassing", "MessageLayer") for kind in type(layer).__mro__)


def _is_pooling(node: fx.Node, module: nn.Module) -> bool:
    if node.op == "call_module":
        return any(kind.__name__ == "Aggregation" for kind in type(module.get_submodule(str(node.target))).__mro__)
    return node.op == "call_function" and node.target in _poolings().values()


def _keeps_nodes(node: fx.Node, layer: fx.Node, module: nn.Module) -> bool:
    """Whether a step is the layer, or an element-wise step or normalisation that follows it."""
    if node is layer:
        return True
    return not (node.op == "call_module" and _passes_messages(module, str(node.target)))


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


@torch.no_grad()
def _width(part: GraphPart, inputs: int, label: str) -> int:
    """Return the number of features behind a part."""
    was = [(each, each.training) for each in part.modules()]
    part.eval()
    x = torch.zeros(3, inputs)
    edges, graph_of = torch.tensor([[0, 1], [1, 0]]), torch.zeros(3, dtype=torch.int64)
    parameter = next(part.parameters(), None)
    device = x.device if parameter is None else parameter.device
    try:
        found = part._evaluation[0](x.to(device), edges.to(device), graph_of.to(device), 1)
    except Exception as error:  # the user's code may raise anything
        raise CutError(
            f"{label} does not run on nodes with {inputs} features ({type(error).__name__}: {shortened_error(error)}); "
            "give a network for the features of the task"
        ) from error
    finally:
        for each, training in was:
            each.training = training
    if not isinstance(found, Tensor) or found.ndim != 2 or found.shape[0] != 3:
        raise CutError(f"{label}: the features of nodes must be [nodes, features] behind each layer; {_FIX}")
    return int(found.shape[1])
