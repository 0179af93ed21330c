"""The flags that several verbs share, each worded once."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eenas.errors import EenasError
from eenas.escaping import shortened
from eenas.masking import masked_url
from eenas.tasks.images.frame import Size, canonical_size

STORAGE = "sqlite:///eenas.db"

Storage = Annotated[str, typer.Option(metavar="URL", help="The database of the studies: SQLite or PostgreSQL.")]
Backbone = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="timm name, torchvision:NAME, cifar_resnet20, package.module:factory, ..."),
]
Study = Annotated[str | None, typer.Option(metavar="FILE", help="A study file, or the name of a shipped one.")]
Name = Annotated[str | None, typer.Option(metavar="STUDY", help="The study; the newest one in the storage by default.")]
Artifacts = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Folder of weights and exit tables (default: beside an SQLite file)."),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to train and to measure.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override any value of the study file; may be repeated."),
]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Run Python code that a file or a name points at.")]
Data = Annotated[
    str | None,
    typer.Option(metavar="TASK", help="Labelled samples: digits, waves, folder:PATH, npz:PATH, ts:PATH or a function."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out pictures that cannot be read, and list them.")]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads within an operator (default: all cores).")]
AcceptChangedData = Annotated[
    bool,
    typer.Option("--accept-changed-data", help="Go on although data changed, where the study's results still hold."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]

Network = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A network of the study by its name: 'trial 8', 'frozen 2', 'static layer2.1'."),
]
Trial = Annotated[int | None, typer.Option(metavar="N", help="The network of trial N: --network 'trial N'.")]
Best = Annotated[bool, typer.Option("--best", help="The cheapest network that loses at most one point (the default).")]
Knee = Annotated[bool, typer.Option("--knee", help="The knee of the front.")]
MaxAccuracyDrop = Annotated[
    float | None, typer.Option(metavar="X", help="The cheapest network that loses at most X (0.01 is one point).")
]
MaxMacs = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="Expected MACs, as a share of the backbone's (0.2: 20 %); alone: the best within X."
    ),
]
MaxLatency = Annotated[
    float | None,
    typer.Option("--max-latency-ms", metavar="X", help="Expected milliseconds; alone: the most accurate within X."),
]
MaxWorstMacs = Annotated[
    float | None, typer.Option(metavar="X", help="MACs of the dearest exit, as a share of the backbone's.")
]
MaxWorstLatency = Annotated[
    float | None, typer.Option("--max-worst-latency-ms", metavar="X", help="Milliseconds of the dearest exit.")
]
Limit = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=X", help="Another limit by its name, such as max_energy=2.5; may be repeated."),
]
MinAccuracy = Annotated[float | None, typer.Option(metavar="X", help="Accuracy on validation, in [0, 1].")]
MaxParameters = Annotated[int | None, typer.Option(metavar="N", help="Parameters of the network.")]
MaxBranches = Annotated[int | None, typer.Option(metavar="N", help="Branches of the network.")]


def limits(given: Sequence[str] | None) -> dict[str, float]:
    """The limits that `--limit NAME=X` gave, by name. Raises EenasError for other texts."""
    found: dict[str, float] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not equals or not name.strip() or math.isnan(number):
            raise EenasError(f"--limit {shortened(text)}: must read NAME=X, for example --limit max_energy=2.5")
        if name.strip() in found:
            raise EenasError(f"--limit {name.strip()} was given twice; give one of them")
        found[name.strip()] = number
    return found


def size(text: str | None) -> Size | None:
    """The size that "224" or "32x128" (height first) says. Raises EenasError for anything else."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 2 or not all(part.isascii() and part.isdigit() and 0 < len(part) < 7 for part in parts):
        raise EenasError(f"an image size is in pixels, such as 224 or 32x128 (height x width), got {text!r}")
    try:
        return canonical_size(tuple(map(int, parts)) if len(parts) == 2 else int(parts[0]))
    except ValueError as error:
        raise EenasError(str(error)) from None


def told(
    storage: str, name: str | None, artifacts: Path | None = None, *, trust_code: bool = False
) -> dict[str, object]:
    """The flags with which the next verb finds the same study again; those at their default are left out."""
    place = None if storage == STORAGE else masked_url(storage)
    return {"storage": place, "name": name, "artifacts": artifacts, "trust_code": trust_code}
