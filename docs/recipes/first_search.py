# %% [markdown]
# # A first search
#
# Where may a network stop early? This notebook searches exits for a ResNet-20 on handwritten digits, shows what they
# save, trains the recommended network and lets it answer. It takes about two minutes on two processor cores, and
# needs neither a GPU nor data of yours.

# %%
from pathlib import Path

import numpy as np

import eenas
from eenas.reporting import write_figure
from eenas.tasks import load_task

# %% [markdown]
# The search trains the backbone for a few epochs, then branches at its cut points, and then a network for each trial.
# `space="small"` draws from three cheap structures of branches. Everything is kept in the file `first_search.db`: the
# same line run again shows what was found, and with more `trials` the search goes on.

# %%
study = eenas.search(
    "cifar_resnet20",
    task="digits",
    space="small",
    trials=3,
    storage="sqlite:///first_search.db",
    overrides=(
        "task.input_size=16",  # pixels; ResNet-20 takes 32 by default, for four times the work
        "prepare.training.epochs=4",  # of the backbone; 7 by default
        "full_training.epochs=4",  # of the network that is chosen; 30 by default
        "bank.branches=6",  # trained before the first trial; 32 by default
        "baselines.static=0",  # networks that end at a branch, trained for comparison; 3 by default
        "latency.seconds=0.1",  # for each measurement; 1 by default
    ),
)
study

# %% [markdown]
# A study displays its summary and its front: networks of which none is better in accuracy, compute and latency at
# once. The recommended one is the cheapest that loses at most one point of accuracy against the backbone.

# %%
point = study.recommend()
print(f"{point.label}: {point.point.accuracy:.1%} on validation at {point.macs_share:.0%} of the backbone's MACs")
print("exits behind", ", ".join(placed.cut_point for placed in point.design.branches) or "nothing")

# %% [markdown]
# Trials train briefly, to compare designs. `train` trains one network fully, and uses the test split once, for its
# report. `export` writes a folder with the network. With `format="onnx"` (`pip install 'eenas[onnx]'`) the folder
# also runs where PyTorch is not installed.

# %%
run = study.train()
network = eenas.load(study.export("digits_model", run=run))

# %% [markdown]
# `predict` stops for each image at the first exit that is confident enough; what lies behind does not run for it.

# %%
test = load_task("digits").test
images = test.reader(network.transform.inputs)[np.arange(len(test))]  # uint8 [n, channels, height, width]
answer = network.predict(network.transform(images))
right = (answer.classes.numpy() == test.labels).mean()
for exit_, name in enumerate(network.exits):
    print(f"{name}: {(answer.exits == exit_).float().mean():.0%} of the digits leave here")
print(f"{right:.1%} of them are classified correctly")

# %% [markdown]
# The figure has the share of the backbone's MACs to the right and the accuracy upwards: the front, the networks of
# the trials, and the baselines that each study compares with.

# %%
drawing = study.figure("macs")
write_figure(drawing, Path("first_search.html"))
drawing
