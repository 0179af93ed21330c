"""The sections of a model card on samples: how the network is called, and how samples are prepared."""

from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.backbones.transforms.image_transform import InputTransform
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.backbones.transforms.text_transform import TextTransform
from eenas.backbones.transforms.transform import Transform
from eenas.errors import plural
from eenas.plugins import is_reference
from eenas.tasks.images.frame import BORDER

ON_A_DEVICE = "\n## On a device\n"
"""The heading of `device_section`. The card above it describes the network alone."""


def usage_section(transform: Transform | None, *, predicts: bool) -> str:
    """Return the section on loading and calling the network in Python. `predicts` is set if it has a policy."""
    name, what, given = "images", "uint8 [N, C, H, W]", "float32"
    if isinstance(transform, SeriesTransform):
        name, what = "series", "floats [N, channels, length]"
    elif isinstance(transform, TextTransform):
        name, what, given = "texts", "a list of texts", _dtype(transform)
    elif isinstance(transform, GraphTransform):
        name, what = "graphs", f"padded, as `preprocess` of runtime.py makes them: [N, M, {transform.shape[1]}]"
    elif transform is not None and not isinstance(transform, InputTransform):
        name, what, given = "samples", str(transform.inputs.tensor), _dtype(transform)
    lines = [
        "## Use",
        "",
        "```python",
        "import eenas",
        "",
        'network = eenas.load("THIS_FOLDER")  # an nn.Module in eval mode',
        f"x = network.transform({name})  # {what} -> {given}",
        "logits = network(x)  # one tensor [N, classes] for each exit",
        *(("answer = network.predict(x)  # answer.classes [N], answer.exits [N]",) if predicts else ()),
        "```",
    ]
    return "\n".join(lines)


def device_section(transform: Transform) -> str:
    """Return the section on running the programs without eenas."""
    given = f"samples = model.preprocess(...)  # samples of {transform.inputs}, or a list of them"
    if isinstance(transform, InputTransform):
        given = 'images = model.preprocess("photo.png")  # uint8 [N, C, H, W]; paths, arrays or a list of them'
    if isinstance(transform, SeriesTransform):
        given = (
            'series = model.preprocess("series.npy")  # float32 [N, channels, length]; paths, arrays or a list of them'
        )
    if isinstance(transform, GraphTransform):
        given = 'graphs = model.preprocess("graph.npz")  # pairs (x, edge_index), paths, or a list of them'
    files = "`eenas.json`, `runtime.py` and the `segment_*` files of this folder"
    if isinstance(transform, TextTransform):
        given = 'texts = model.preprocess("a text")  # ids int64 [N, L]; texts, Paths of .txt files or a list of them'
        files = "`eenas.json`, `runtime.py`, `tokenizer.json` and the `segment_*` files of this folder, and tokenizers"
    name = given.partition(" ")[0]
    needed = f"A device needs only {files}."
    if is_reference(kind := transform.inputs.kind):
        needed += f" The kind of input `{kind}` is code of its own, so it also needs eenas, with"
        needed += " `from eenas import runtime` and `trust_code=True`."
    return f"""{ON_A_DEVICE}
{needed}

```python
import runtime

model = runtime.load("THIS_FOLDER")
{given}
answer = model.predict({name})  # answer.classes, answer.exits, answer.confidences
model.set_budget(macs=0.5)  # another operating point
```
"""


def preparation_section(transform: Transform) -> tuple[str, ...]:
    """Return the lines of the section on preparing a sample, step by step."""
    if isinstance(transform, SeriesTransform):
        return _of_series(transform)
    if isinstance(transform, TextTransform):
        return _of_texts(transform)
    if isinstance(transform, GraphTransform):
        return _of_graphs(transform)
    return _of_pictures(transform) if isinstance(transform, InputTransform) else _of_others(transform)


def _dtype(transform: Transform) -> str:
    return str(transform.example(1).dtype).removeprefix("torch.")


def _of_others(transform: Transform) -> tuple[str, ...]:
    sides = ["any" if axis in transform.varying else str(size) for axis, size in enumerate(transform.shape, start=1)]
    taken = f"{_dtype(transform)} [N, {', '.join(sides)}]"
    return (
        "## How a sample is prepared",
        "",
        f"`preprocess` of `runtime.py` and `network.transform` make {taken} of samples of the kind "
        f"`{transform.inputs.kind}`. `predict` takes the result.",
        "",
    )


def _of_series(transform: SeriesTransform) -> tuple[str, ...]:
    mean, std = ([round(value, 4) for value in values] for values in (transform.mean, transform.std))
    scaled = f"2. Subtract the mean {mean} and divide by the standard deviation {std}, channel by channel."
    return (
        "## How a series is prepared",
        "",
        f"1. Provide floats [{transform.channels}, {transform.length}], channels before time, without NaN; cut or pad "
        "series of other lengths as for training.",
        scaled if transform.mean else "2. Use the values unchanged.",
        "",
        "`preprocess` of `runtime.py` and `network.transform` do the second step. `predict` takes the result.",
        "",
    )


def _of_graphs(transform: GraphTransform) -> tuple[str, ...]:
    return (
        "## How a graph is prepared",
        "",
        f"1. Provide its node features `x`, floats [nodes, {transform.features}], and its `edge_index`, integers "
        f"[2, edges] from 0, with at most {plural(transform.slots, 'edge')} per node on average.",
        f"2. Pad both to float32 [N, M, {transform.shape[1]}], M the nodes of the largest graph.",
        "",
        "`preprocess` of `runtime.py` does the second step; `network.transform` takes its result, as `predict` does.",
        "",
    )


def _of_texts(transform: TextTransform) -> tuple[str, ...]:
    return (
        "## How a text is prepared",
        "",
        f"1. The tokenizer in `tokenizer.json` (SHA-256 {transform.tokenizer}) turns it into ids, truncated to "
        f"{transform.max_length} tokens.",
        f"2. A batch is padded on the right by the id {transform.pad} to its longest text, rounded up to a multiple of "
        "8 tokens.",
        "",
        f"MACs and latency are those of a text of {transform.shape[0]} tokens. `preprocess` of `runtime.py` and "
        "`network.transform` do both steps; `predict` takes the result.",
        "",
    )


def _of_pictures(transform: InputTransform) -> tuple[str, ...]:
    """Return the lines of the section on preparing a picture, step by step."""
    channels, height, width = transform.shape
    shape = "square" if height == width else f"part of the proportions {height} : {width} (height : width)"
    size = f"{height} x {width} pixels (height x width)"
    fits = {
        "crop": f"Crop the largest centred {shape} and resize it to {size}.",
        "pad": f"Resize the whole picture with its proportions to fit into {size}, and centre it on a grey ({BORDER}) "
        "picture of that size.",
        "stretch": f"Resize the whole picture to {size}.",
    }
    white = "" if transform.white is None else f" 16-bit values are multiplied by 255 / {transform.white} and rounded."
    colours = {1: "Grey (ITU-R BT.601 luma of colours)", 3: "Colours in the order red, green, blue"}
    mean, std = ([round(value, 4) for value in values] for values in (transform.mean, transform.std))
    return (
        "## How a picture is prepared",
        "",
        f"1. Apply the EXIF orientation, and put transparent parts on white.{white}",
        f"2. {fits[transform.fit]} The filter is bilinear, antialiased when shrinking: Pillow's `BILINEAR`, not "
        "OpenCV's `INTER_LINEAR`.",
        f"3. {colours.get(channels, plural(channels, 'channel'))}, channels before rows, uint8.",
        f"4. Divide by 255, subtract the mean {mean} and divide by the standard deviation {std}.",
        "",
        "`preprocess` of `runtime.py` does the first three steps as in training, `predict` and `network.transform` the "
        "last.",
        "",
    )
