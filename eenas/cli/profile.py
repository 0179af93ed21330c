"""`eenas profile`: time a backbone and the branches of a search space here, for a search elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out as console
from eenas.cli.terminal.console import say, suggest
from eenas.cli.terminal.progress import listening


def profile(
    backbone: options.Backbone = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write or complete.")] = Path("profile.json"),
    device: options.Device = "auto",
    runtime: Annotated[
        str | None, typer.Option(metavar="auto|torch|onnxruntime", help="Runtime of the programs (default: auto).")
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Host threads (default: 1).")] = None,
    batch: Annotated[int | None, typer.Option(metavar="N", min=1, help="Batch size (default: 1).")] = None,
    task: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Task that defines classes and inputs (default: digits).")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Number of classes, if the task's data are not here.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Image size or series length (default: the task's).")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Channels of the samples (default: the task's, or 3).")
    ] = None,
    study: options.Study = None,
    space: Annotated[
        str | None, typer.Option(metavar="FILE", help="Search space of the branches to time (default: default).")
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="S", min=0, help="Start no branch after S seconds.")] = 1200.0,
    overrides: options.Overrides = None,
    trust_code: options.TrustCode = False,
) -> None:
    """Time a backbone here for a search on another machine.

    Times every path to a cut point, the cost of cutting there, and every branch that the search space can place.
    eenas search --latency-profile FILE uses the file instead of measuring. Rerun the same command to complete a
    file that the time limit cut short. No weights are needed and, with --classes and --size, no data.

    \b
    Examples:
      eenas profile --backbone resnet50 --task folder:photos/ --out board.json
      eenas profile --backbone cifar_resnet20 --classes 10 --size 32 --out board.json
    """
    from eenas.cli.tables.profiles import profile_tables
    from eenas.study.context.profiling import profile as take

    stated = {"runtime": runtime, "threads": threads, "batch": batch}
    with listening() as listener:
        taken = take(
            backbone,
            out=out,
            task=task,
            classes=classes,
            size=options.size(size),
            channels=channels,
            study=study,
            space=space,
            device=device,
            seconds=seconds,
            overrides=(
                *(overrides or ()),
                *(f"latency.{key}={value}" for key, value in stated.items() if value is not None),
            ),
            trust_code=trust_code,
            listener=listener,
        )
    console().print(profile_tables(taken))
    say(f"written: {out}")
    if not taken.lacking:
        flags = {"backbone": backbone, "study": study, "space": space, "task": task}
        suggest("search", **flags, latency_profile=out, trust_code=trust_code)
