# %% [markdown]
# # Nodes of a graph
#
# Nodes of a graph may leave before the last hop. This recipe trains a graph network of six hops with an exit behind
# each of them on the embedded block model, lets each node stop where it is confident, and draws what more hops do to
# it.

# %%
from pathlib import Path

import torch

from eenas.networks.nodes import NodeNetwork, fit_nodes, node_tables, predict_nodes
from eenas.reporting import draw_overthinking, overthinking_of, write_figure
from eenas.tasks.graphs import node_task
from eenas.training.nodes import NodeTraining, train_nodes

# %% [markdown]
# All exits are trained jointly on the whole graph.

# %%
task = node_task("block_model")
torch.manual_seed(0)
network = NodeNetwork(task.graph.features, task.num_classes, kind="gcn", hops=6, width=32)
train_nodes(network, task, NodeTraining(epochs=60))

# %% [markdown]
# A message is one edge in one layer. The thresholds may spend half of all messages. A node that leaves still sends
# its features where a neighbour needs them (the exact form), so each answer is that of the whole network at that
# exit.

# %%
fit = fit_nodes(network, task, edge_share=0.5)
answer = predict_nodes(network, task.graph, fit.policy)
test = task.split("test")
right = (answer.classes == task.labels)[test].mean()
print(f"{right:.1%} of the test nodes right with {answer.share:.0%} of the messages")

# %% [markdown]
# Deeper is not always better: a node that an early hop classifies correctly may be lost at a later one. The figure
# counts these nodes.

# %%
facts = overthinking_of("block model", node_tables(network, task)["test"].table, fit.policy, cost="edges")
write_figure(draw_overthinking(facts), Path("node_exits.html"))
