"""`eenas run`: what an exported model answers to image files, and how long it takes."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.console import out, write


def run(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A folder exported with --format onnx or pt2.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")],
    max_macs: Annotated[
        float | None,
        typer.Option(metavar="X", help="The operating point within a share X of the backbone's MACs."),
    ] = None,
    provider: Annotated[str, typer.Option(metavar="cpu|cuda", help="What computes.")] = "cpu",
    threads: options.Threads = None,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Answer images with an exported model, one at a time.

    Each with its class, the confidence in it, the exit that answered, and the time of this image alone.

    Example: eenas run model photo.png
    """
    import json as writer

    from eenas.deployment.image_answers import answer_images
    from eenas.deployment.runtime import load

    model = load(folder, provider=provider, threads=threads, trust_code=trust_code)
    if max_macs is not None:
        model.set_budget(macs=max_macs)
    answers = list(answer_images(model, images))
    if json:
        write(writer.dumps([{**vars(one), "file": str(one.file)} for one in answers], indent=2))
        return
    from eenas.cli.exported_tables import answers_table

    out().print(answers_table(answers))
