# %% [markdown]
# # A controller under drift
#
# Thresholds are fitted once, and then the inputs change. This recipe fits exits in time to the embedded waves, makes
# a noisy copy of the test series, and replays a bandit on a stream that becomes noisy and clean again. The bandit
# learns from confidences alone, without labels, and forgets old samples.

# %%
from dataclasses import replace
from pathlib import Path

import numpy as np

import eenas
from eenas.policies.controllers import AdaEE, Stream
from eenas.reporting import draw_regret, regret_facts, write_figure
from eenas.tasks.series.waves import waves

# %% [markdown]
# An exit table holds what every exit answers for every sample. Its `contexts` name the circumstances, here clean and
# noisy; a stream is made of them.

# %%
series, labels = waves(900)  # [n, channels, points] and class numbers [n]
fitted = eenas.fit_in_time(series[:400], labels[:400], blocks=6)
clean, numbers = series[400:], labels[400:]
noisy = clean + np.random.default_rng(0).normal(scale=0.7, size=clean.shape).astype(np.float32)
table = replace(
    fitted.table(np.concatenate([clean, noisy]), np.concatenate([numbers, numbers])),
    contexts=np.repeat(["clean", "noisy"], len(clean)),
)

# %% [markdown]
# AdaEE chooses one threshold for all exits out of eleven. `overhead` is the price of the whole network in units of
# confidence, and `discount` forgets.

# %%
stream = Stream(rounds=9000, phases=("clean", "noisy", "clean"))
found = eenas.simulate(table, AdaEE(overhead=0.12, discount=0.998), stream=stream, seeds=3)
for phase in found.phases:
    print(f"{phase.name}: the best threshold is {found.names()[phase.best]}")

# %% [markdown]
# Pseudo-regret is what the controller lost against the best threshold of each phase. A line that flattens has
# learned; the dotted lines mark where the series change.

# %%
write_figure(draw_regret(regret_facts(found)), Path("bandit_drift.html"))
