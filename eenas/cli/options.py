"""The flags that several verbs share."""

import math
from collections.abc import Sequence
from typing import Annotated

import typer

from eenas.errors import EenasError
from eenas.escaping import shortened
from eenas.masking import masked_url
from eenas.records.stores.places import place_text
from eenas.tasks.images.frame import Size, canonical_size

STORAGE = "sqlite:///eenas.db"

Storage = Annotated[str, typer.Option(metavar="URL", help="Database of the studies: SQLite or PostgreSQL.")]
Backbone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A timm name, torchvision:NAME, hf:FOLDER, cifar_resnet20, package.module:factory, ..."
    ),
]
Study = Annotated[str | None, typer.Option(metavar="FILE", help="A study file, or the name of a shipped study.")]
Name = Annotated[
    str | None, typer.Option(metavar="STUDY", help="Name of the study (default: the newest in the storage).")
]
Artifacts = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="Weights and exit tables: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or ./file.py:Store "
        "(default: the folder beside the SQLite file).",
    ),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Device for training and measuring.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override a value of the study file; may be repeated."),
]
TrustCode = Annotated[bool, typer.Option("--trust-code", help="Run Python code that a file or a name refers to.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help="Labelled samples: digits, waves, phrases, rings, folder:PATH, webdataset:PATH, npz:PATH, ts:PATH, "
        "text:PATH, graphs:PATH or a function.",
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip unreadable images, and list them.")]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads within an operator (default: one per core).")]
AcceptChangedData = Annotated[
    bool,
    typer.Option(
        "--accept-changed-data", help="Continue although the data changed, if the study's results remain valid."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]

Network = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A network of the study by name: 'trial 8', 'frozen 2', 'static layer2.1'."),
]
Trial = Annotated[int | None, typer.Option(metavar="N", help="The network of trial N; same as --network 'trial N'.")]
Best = Annotated[bool, typer.Option("--best", help="The cheapest network that loses at most one point (the default).")]
Knee = Annotated[bool, typer.Option("--knee", help="The knee of the front.")]
MaxAccuracyDrop = Annotated[
    float | None, typer.Option(metavar="X", help="The cheapest network that loses at most X (0.01 is one point).")
]
MaxMacs = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="Maximum expected MACs, as a share of the backbone's (0.2: 20 %); alone: the best within X."
    ),
]
MaxLatency = Annotated[
    float | None,
    typer.Option("--max-latency-ms", metavar="X", help="Maximum expected latency in ms; alone: the best within X."),
]
MaxWorstMacs = Annotated[
    float | None, typer.Option(metavar="X", help="Maximum MACs in the worst case, as a share of the backbone's.")
]
MaxWorstLatency = Annotated[
    float | None, typer.Option("--max-worst-latency-ms", metavar="X", help="Maximum latency in ms in the worst case.")
]
Limit = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=X", help="Another limit, such as max_energy=2.5; may be repeated."),
]
MinAccuracy = Annotated[float | None, typer.Option(metavar="X", help="Minimum accuracy on validation, in [0, 1].")]
MaxParameters = Annotated[int | None, typer.Option(metavar="N", help="Maximum number of parameters.")]
MaxBranches = Annotated[int | None, typer.Option(metavar="N", help="Maximum number of branches.")]


def limits(given: Sequence[str] | None) -> dict[str, float]:
    """Return the limits of `--limit NAME=X` by name. Raises EenasError for any other text."""
    found: dict[str, float] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not equals or not name.strip() or math.isnan(number):
            raise EenasError(f"--limit {shortened(text)}: must be NAME=X, for example --limit max_energy=2.5")
        if name.strip() in found:
            raise EenasError(f"--limit {name.strip()} was given twice; give it once")
        found[name.strip()] = number
    return found


def size(text: str | None) -> Size | None:
    """Return the size in "224" or "32x128" (height first). Raises EenasError for any other text."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if not 1 <= len(parts) <= 2 or not all(part.isascii() and part.isdigit() and 0 < len(part) < 7 for part in parts):
        raise EenasError(f"a size must be in pixels, such as 224 or 32x128 (height x width), got {text!r}")
    try:
        return canonical_size(tuple(map(int, parts)) if len(parts) == 2 else int(parts[0]))
    except ValueError as error:
        raise EenasError(str(error)) from None


def study_flags(
    storage: str, name: str | None, artifacts: str | None = None, *, trust_code: bool = False
) -> dict[str, object]:
    """Return the flags that make the next verb find the same study, without those at their defaults."""
    place = None if storage == STORAGE else masked_url(storage)
    return {
        "storage": place,
        "name": name,
        "artifacts": None if artifacts is None else place_text(artifacts),
        "trust_code": trust_code,
    }
