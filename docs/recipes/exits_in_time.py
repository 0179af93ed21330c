# %% [markdown]
# # Exits in time
#
# A network may answer before a series ends. This recipe fits exits in time to the embedded waves, which takes a few
# seconds, fits policies for several budgets, and draws accuracy over the share that was seen.

# %%
from pathlib import Path

import eenas
from eenas.policies.fit import Fitting
from eenas.policies.operating_point import evaluate
from eenas.reporting import axis, figure, write_figure
from eenas.tasks.series.waves import waves

# %% [markdown]
# The waves are 600 series of two channels and 64 points. 400 of them are for fitting: the fixed convolutions need no
# training, and each of the 16 exits has a classifier in closed form.

# %%
series, labels = waves(600)  # [n, channels, points] and class numbers [n]
fitted = eenas.fit_in_time(series[:400], labels[:400], classes=("sine", "square", "sawtooth", "chirp"), blocks=16)
table = fitted.table(series[400:], labels[400:])  # the logits of every exit on the other 200 series

# %% [markdown]
# A policy decides for each series when to answer. It is fitted on `held_out`: the answers for the training series,
# each by classifiers that were fitted without it. Each budget is one of `earliness`, the mean share of a series that
# is seen.

# %%
fitting = Fitting(fitted.held_out)
points = [evaluate(fitting.policy({"earliness": share}), table) for share in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)]
for point in points:
    print(f"policy: {point.expected['earliness']:.0%} of the series, accuracy {point.accuracy:.1%}")

# %% [markdown]
# The figure compares them with answering all series at the same point. Easy series leave early under a policy, so
# that hard ones may be read longer for the same mean.

# %%
drawing = figure("Accuracy over the share of a series that is seen", "embedded waves, 200 test series")
drawing.add_scatter(
    x=100 * table.costs["earliness"],
    y=100 * table.correct().mean(axis=0),
    mode="lines+markers",
    name="all series at one exit",
    line={"color": "#E69F00", "dash": "dash"},
)
drawing.add_scatter(
    x=[100 * point.expected["earliness"] for point in points],
    y=[100 * point.accuracy for point in points],
    mode="lines+markers",
    name="policies: each series at its own exit",
    line={"color": "#0072B2"},
)
drawing.update_xaxes(axis("mean share of the series seen, %", range=[0, 102]))
drawing.update_yaxes(axis("accuracy on the test series, %"))
write_figure(drawing, Path("exits_in_time.html"))
