"""The recipes of docs/recipes run as a reader would, and the pictures of what they draw.

    python tests/recipe_pictures.py              # all of them
    python tests/recipe_pictures.py first_search

Each recipe runs in an empty folder and writes a page NAME.html. Chromium takes its picture, docs/recipes/NAME.png.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.reporting.browser import CHROMIUM, REASON

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "docs" / "recipes"
NAMES = tuple(sorted(path.stem for path in RECIPES.glob("*.py")))
WIDTH, COLOURS, SMALLEST_COLOURS = 900, 64, 8


def run_recipe(name: str, folder: Path, seconds: float = 600) -> Path:
    """Run a recipe in a folder; return the page that it wrote. Raises what it printed if it fails."""
    there = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(RECIPES / f"{name}.py")],
        cwd=folder, env=there, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{name}: {done.stderr[-3000:]}")
    print(done.stdout)
    return folder / f"{name}.html"


def picture_of(page: Path, picture: Path) -> None:
    """Write a picture of a page with a figure, cut to the figure and in few colours."""
    with tempfile.TemporaryDirectory() as profile:
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
        command = [
            *(str(CHROMIUM), *flags, f"--user-data-dir={profile}", f"--window-size={WIDTH},1600"),
            *("--virtual-time-budget=20000", f"--screenshot={picture}", page.as_uri()),
        ]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
    with Image.open(picture) as taken:
        image = taken.convert("RGB")
    ink = Image.eval(image.convert("L"), lambda value: 255 - value).getbbox()
    assert ink is not None, f"{page}: nothing is drawn"
    image.crop((0, 0, WIDTH, min(image.height, ink[3] + 20))).quantize(COLOURS).save(picture, optimize=True)


def is_blank(picture: Path) -> bool:
    """Whether a picture has fewer colours or less ink than any figure has."""
    with Image.open(picture) as image:
        pixels = image.convert("RGB")
    found = pixels.getcolors(pixels.width * pixels.height) or []
    ink = sum(count for count, colour in found if min(colour) < 200)
    return len(found) < SMALLEST_COLOURS or ink < 0.005 * pixels.width * pixels.height


def main(names: list[str]) -> None:
    if CHROMIUM is None:
        sys.exit(REASON)
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            picture_of(run_recipe(name, Path(folder)), RECIPES / f"{name}.png")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
