# %% [markdown]
# # Edge and cloud
#
# A device runs the first layers and their exits, and a server the rest for the samples that have not left. This
# recipe finds the best place to split a network for a link, and draws how it moves with the bandwidth.

# %%
from pathlib import Path

import eenas
from eenas.handle import WantedTiers, best_splits
from eenas.reporting import draw_bandwidth, write_figure

# %% [markdown]
# Any study, run or exported model is a source. Here it is a small search on digits.

# %%
study = eenas.search(
    "cifar_resnet20",
    task="digits",
    space="small",
    trials=2,
    storage="sqlite:///edge_cloud_split.db",
    overrides=(
        "task.input_size=16",
        "prepare.training.epochs=3",
        "bank.branches=4",
        "baselines.static=0",
        "latency.seconds=0.1",
    ),
)
network = next(each for each in study.results.networks if len(each.design.branches) > 1)

# %% [markdown]
# The device takes 400 times as long as this machine, which is the server. `edge` may be a file that `eenas profile`
# wrote on the device instead, and the link a preset (`3g`, `4g`, `wifi`) or a bandwidth with its properties.

# %%
found = best_splits(
    study.name,
    WantedTiers(link="4g,codec=int8,round_trip_ms=10", edge="400", cloud="1"),
    network=network.name,
    storage="sqlite:///edge_cloud_split.db",
)
best = found.best
print(f"{network.name}: split at {best.split!r}, {best.latency_ms:.1f} ms, {best.bytes_sent:.0f} bytes for a sample")
print(f"device only {found.edge_only.latency_ms:.1f} ms, server only {found.cloud_only.latency_ms:.1f} ms")
for each in found.ranges:
    print(f"from {each.low:.3g} Mbit/s: split at {each.split!r}")

# %% [markdown]
# On a slow link everything stays on the device, on a fast one the server gets the raw image. The features of this small
# network are larger than its images, so no split between the two is better. With larger images there are ranges in
# which one is, and the figure names it.

# %%
write_figure(draw_bandwidth(found), Path("edge_cloud_split.html"))
