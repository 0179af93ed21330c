# %% [markdown]
# # Your own network and training loop
#
# eenas need not train. This recipe puts two exits into a network of your own, trains it in a plain loop of PyTorch,
# fits the thresholds afterwards, and exports a model that stops early.

# %%
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import eenas
from eenas.backbones import load_backbone
from eenas.branches import PoolFc
from eenas.designs import Placed
from eenas.reporting import axis, figure, write_figure
from eenas.tasks import load_task

# %% [markdown]
# Any module will do. `eenas_transform` says what it takes: here grey images of 16 pixels, which keeps the recipe
# short.


# %%
def block(channels, width, stride):
    return nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU())


module = nn.Sequential(
    block(1, 8, 1),
    block(8, 16, 2),
    block(16, 32, 2),
    block(32, 32, 1),
    nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
)
module.eenas_transform = {"size": 16, "channels": 1, "mean": [0.3], "std": [0.3]}

# %% [markdown]
# Exits attach at cut points, which eenas finds. A design names the ones to use, and the structure of each branch; a
# search would propose it (`study.recommend().design`).

# %%
torch.manual_seed(0)
backbone = load_backbone(module, num_classes=10)
print("cut points:", ", ".join(point.name for point in backbone.cut_points))
design = eenas.Design(
    backbone=backbone.name,
    num_classes=10,
    inputs=backbone.transform.inputs,
    branches=(Placed("0", PoolFc()), Placed("1", PoolFc())),
)
network = eenas.build(design, backbone=module)

# %% [markdown]
# The loop is yours. `network(x)` gives the logits of every exit, the backbone's own last; the loss is their sum.

# %%
task = load_task("digits")
images = task.train.reader(network.transform.inputs)
labels = torch.from_numpy(task.train.labels.copy())
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
network.train()
for _epoch in range(6):
    for rows in torch.randperm(len(labels)).split(64):
        optimizer.zero_grad()
        exits = network(network.transform(images[rows.numpy()]))
        sum(cross_entropy(logits, labels[rows]) for logits in exits).backward()
        optimizer.step()
network.eval()

# %% [markdown]
# The thresholds are fitted on the calibration split, here for several accepted losses against the final exit. The
# operating points are those of the test split.

# %%
DROPS = (0.08, 0.05, 0.03, 0.01, 0.0)
points = [eenas.fit_thresholds(network, task, max_accuracy_drop=drop) for drop in DROPS]
for point in points:
    shares = ", ".join(f"{share:.0%} at {name}" for share, name in zip(point.shares, network.exits, strict=True))
    print(f"accuracy {point.accuracy:.1%}: {shares}")

# %% [markdown]
# The export holds the last policy. `format="onnx"` (`pip install 'eenas[onnx]'`) writes programs that run without
# PyTorch.

# %%
eenas.export("own_model", network=network, data="digits")
eenas.verify("own_model", backbone=module)

# %% [markdown]
# The figure shows where the test samples leave for each accepted loss.

# %%
drawing = figure("Where samples leave", "own network on digits; thresholds fitted for five accepted losses", drop=75)
names = [
    f"at most {100 * drop:.0f} points:<br>{point.accuracy:.1%}, {point.expected['macs'] / 1e3:.0f} k MACs"
    for drop, point in zip(DROPS, points, strict=True)
]
for index, (name, colour) in enumerate(zip(network.exits, ("#4AC16D", "#277F8E", "#B5B5B5"), strict=True)):
    drawing.add_bar(
        x=names, y=[100 * point.shares[index] for point in points], name=f"exit {name}", marker={"color": colour}
    )
drawing.update_layout(barmode="stack", bargap=0.3)
drawing.update_xaxes(axis("accepted loss on calibration: accuracy on the test split and expected MACs"))
drawing.update_yaxes(axis("share of the samples, %"))
write_figure(drawing, Path("own_loop.html"))
