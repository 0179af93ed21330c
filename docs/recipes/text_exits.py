# %% [markdown]
# # Texts that leave early
#
# Short requests to an assistant at home are classified by a small transformer. This recipe searches its exits, trains
# and exports the recommended network, runs it without PyTorch and transformers, and draws which texts leave first and
# which last. It needs the extras `text` and `onnx`.

# %%
import importlib
import sys
import textwrap
from pathlib import Path

import numpy as np

import eenas
from eenas.reporting import axis, figure, write_figure
from eenas.tasks import load_task

# %% [markdown]
# The transformer has four layers and starts untrained; its tokenizer is trained on the texts. For an encoder of
# Hugging Face, give `"hf:FOLDER"` or `"hf:NAME"` in place of `"text_transformer"`, and for your own table of texts
# `task="text:train.tsv"`. The space `text` has branches that read the mean of the tokens, attend to them or convolve
# them.

# %%
study = eenas.search(
    "text_transformer",
    task="phrases",
    space="text",
    trials=2,
    storage="sqlite:///text_exits.db",
    overrides=(
        "prepare.training.epochs=4",  # of the backbone; 7 by default
        "full_training.epochs=4",  # of the network that is chosen; 30 by default
        "bank.branches=6",  # trained before the first trial; 32 by default
        "baselines.static=0",  # networks that end at a branch, trained for comparison; 3 by default
        "baselines.published=[]",  # DeeBERT and PABEE, trained for comparison by default
        "latency.seconds=0.1",  # for each measurement; 1 by default
    ),
)
study

# %% [markdown]
# The front has the networks that no other one beats in accuracy, MACs and latency. MACs are those of a text of median
# length.

# %%
for each in study.results.front:
    print(f"{each.label}: {each.point.accuracy:.1%} at {each.macs_share:.0%} of the backbone's MACs")
point = study.recommend()
print("recommended:", point.label, "with exits behind", ", ".join(each.cut_point for each in point.design.branches))

# %% [markdown]
# Full training, and a folder with a program for each segment, the tokenizer and a file `runtime.py`. The programs are
# compared with the network before they are written.

# %%
folder = study.export("text_model", run=study.train(), format="onnx")

# %% [markdown]
# On a device, `runtime.py` is all that is imported. It needs numpy, onnxruntime and tokenizers, and takes texts as
# they are. The thresholds are chosen without the search: the most accurate ones within a tenth of the backbone's MACs.

# %%
sys.path.insert(0, str(folder))
runtime = importlib.import_module("runtime")  # `import runtime` if the folder is the working folder
model = runtime.load(folder)
model.set_budget(macs=0.1)

test = load_task("phrases").test
texts = test.samples.texts(test.rows)
answer = model.predict(model.preprocess(texts))
right = answer.classes == test.labels
for index, name in enumerate(model.exits):
    print(f"{name}: {np.mean(answer.exits == index):.0%} of the texts leave here")
print(f"{right.mean():.1%} of them are classified correctly")

# %% [markdown]
# The picture quotes the texts that leave first, with the highest confidence at their exit, and those that leave last,
# with the lowest. A plain request leaves before the first layer, where only its words count. One that takes something
# back ("do not dim the hall, play some jazz instead") needs the order of the words, and with it more layers.

# %%
order = np.lexsort((-answer.confidences, answer.exits))  # by exit, then from the highest confidence to the lowest
_, places = np.unique([texts[row] for row in order], return_index=True)  # the same request may occur twice
order = order[np.sort(places)]
shown = [*order[:6], *order[-6:]]
quotes = {row: "<br>".join(textwrap.wrap(f"“{texts[row]}”", 52)) for row in shown}
drawing = figure("Texts that leave first and last", "requests of the test split, answered by the exported model")
for correct, colour in ((True, "#0072B2"), (False, "#D55E00")):
    rows = [row for row in shown if right[row] == correct]
    drawing.add_bar(
        x=[int(answer.exits[row]) + 1 for row in rows],
        y=[quotes[row] for row in rows],
        text=[model.classes[answer.classes[row]] for row in rows],
        orientation="h",
        name="right class" if correct else "wrong class",
        marker={"color": colour},
    )
ticks = list(range(1, len(model.exits) + 1))
drawing.update_layout(height=680, margin={"l": 320})
drawing.update_xaxes(axis("exit", tickvals=ticks, ticktext=list(model.exits), range=[0, len(ticks) + 0.3]))
upwards = [quotes[row] for row in shown[::-1]]
drawing.update_yaxes(axis("", categoryorder="array", categoryarray=upwards, tickfont={"size": 11}))
write_figure(drawing, Path("text_exits.html"))
