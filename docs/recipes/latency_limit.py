# %% [markdown]
# # A limit in milliseconds
#
# A device must answer within so many milliseconds. This recipe searches a small network, chooses the most accurate
# design within a limit, and shows why a share of the MACs is not the same share of the time.

# %%
from pathlib import Path

import eenas
from eenas.reporting import axis, figure, write_figure

# %% [markdown]
# Latency is measured on this machine, in the runtime of deployment: onnxruntime on a CPU if the extra `onnx` is
# installed, else PyTorch. For another machine, `eenas profile` measures there, and `latency_profile` takes its file.

# %%
study = eenas.search(
    "cifar_resnet20",
    task="digits",
    space="small",
    trials=2,
    storage="sqlite:///latency_limit.db",
    overrides=(
        "task.input_size=16",
        "prepare.training.epochs=3",
        "bank.branches=4",
        "baselines.static=0",
        "latency.seconds=0.1",
    ),
)
results = study.results
plain = results.backbone.costs["latency"]
print(f"plain backbone: {plain:.3g} ms, {results.backbone.macs / 1e6:.1f} M MACs")

# %% [markdown]
# `max_latency_ms` limits the mean over samples, `max_worst_latency_ms` the slowest sample. With a limit on the mean,
# the choice is the most accurate network within it. A limit that none meets is an error, which names the nearest one.

# %%
limit = 0.6 * plain
point = study.recommend(eenas.Choice(limits=eenas.Limits(max_latency_ms=limit)))
print(f"within {limit:.3g} ms: {point.label}, {point.point.accuracy:.1%}, {point.point.expected['latency']:.3g} ms")

# %% [markdown]
# Each mark is an operating point of a network that the study knows. If time were proportional to MACs, all of them
# would lie on the dotted line. They do not: each program has a start that costs the same for small and large layers,
# large maps with few channels keep the processor waiting for memory, and every decision takes the host some time.

# %%
drawing = figure("MACs and milliseconds", "operating points of the networks of a study, ResNet-20 on digits")
drawing.add_scatter(x=[0, 100], y=[0, 100], mode="lines", name="time as MACs", line={"color": "#777777", "dash": "dot"})
for kind, colour in (("trial", "#0072B2"), ("frozen", "#E69F00"), ("static", "#009E73")):
    known = [each for network in results.networks if network.name.startswith(kind) for each in network.points]
    drawing.add_scatter(
        x=[100 * each.expected["macs"] / results.backbone.macs for each in known],
        y=[100 * each.expected["latency"] / plain for each in known],
        mode="markers",
        name=kind,
        marker={"color": colour, "size": 6},
    )
drawing.update_xaxes(axis("expected MACs, % of the plain backbone's", rangemode="tozero"))
drawing.update_yaxes(axis("expected latency, % of the plain backbone's", rangemode="tozero"))
write_figure(drawing, Path("latency_limit.html"))
