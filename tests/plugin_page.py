"""The files that docs/how-to/plugins.md shows, taken out of it as a reader would."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[1] / "docs" / "how-to" / "plugins.md").read_text(encoding="utf-8")
FILES = {
    code.splitlines()[0].removeprefix("# "): code
    for code in re.findall(r"```(?:python|toml)\n(.*?)```", TEXT, re.DOTALL)
}
"""Their texts by their names, which the first line of each says."""


def write_files(folder: Path) -> Path:
    """All of them in a folder, which is returned."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
