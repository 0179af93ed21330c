"""`eenas init`: write a commented study file for what a folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from eenas.cli import options
from eenas.cli.terminal.console import out, suggest


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with data or a network.")] = Path(),
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write (default: FOLDER/study.toml).")
    ] = None,
    backbone: options.Backbone = None,
) -> None:
    """Write a commented study file for what a folder holds.

    Looks for folders of images, .npz, .ts and .csv files, graphs, weights, and Python files with networks, which are
    parsed and not run. Paths in the file are relative to it. An existing file is not replaced.

    \b
    Examples:
      eenas init photos/
      eenas init . --out mine.toml --backbone resnet18
    """
    from rich.text import Text

    from eenas.errors import StudyError
    from eenas.escaping import one_line
    from eenas.files import write_text
    from eenas.manual.found_files import find_files
    from eenas.manual.started_study import study_text

    path = folder / "study.toml" if file is None else file
    if path.exists():
        raise StudyError(f"{path}: exists; give another file with --out, or remove it")
    found = find_files(folder, path.parent)
    write_text(path, study_text(found, name=str(path), backbone=backbone))
    lines = [f"{each.spec}: {each.words}" for each in found.tasks]
    lines += [f"{each}: a network" for each in found.backbones]
    lines += [f"{each}: weights" + (f" of {owner}" if owner else "") for each, owner in found.weights]
    lines += [f"not read: {each}" for each in found.refused]
    if not (found.tasks or found.unread):
        lacks = "no data" if lines else "no data and no network"
        lines.append(f"{folder}: holds {lacks}; the study uses the embedded digits")
    for line in lines:
        out().print(Text(one_line(line)), soft_wrap=True)
    out().print(Text(one_line(f"written: {path}")), soft_wrap=True)
    trusted = any(".py:" in each for each in found.backbones) and backbone is None
    suggest("search", study=path, trust_code=trusted)
