"""Pages of the site whose text stands elsewhere in the repository, and links between all of them."""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from recipe_cells import RECIPES, page_of

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "studies/README.md": "reference/studies.md",
    "search_spaces/README.md": "reference/search_spaces.md",
    "dashboards/README.md": "reference/dashboards.md",
    **{f"docs/recipes/{each.name}": f"recipes/{each.stem}.md" for each in sorted(RECIPES.glob("*.py"))},
}
"""Files of the repository, and the pages of the site that they become."""
SOURCES = {page: file for file, page in ELSEWHERE.items()}
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose text stands outside `docs`."""
    for file, page in ELSEWHERE.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        content = page_of(Path(file).stem, text) if file.endswith(".py") else text
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links that are right in the repository right in the site."""
    here = page.file.src_uri
    folder = os.path.dirname(SOURCES.get(here, f"docs/{here}"))
    parts, start = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [mended(markdown[start : fence.start()], folder, here), fence[0]]
        start = fence.end()
    return "".join([*parts, mended(markdown[start:], folder, here)])


def mended(text: str, folder: str, here: str) -> str:
    """Return text of a file in `folder` of the repository with its links as the page `here` of the site needs them."""

    def link(match: re.Match[str]) -> str:
        target, hash_mark, heading = match[2].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        named = os.path.normpath(os.path.join(folder, target))
        if named in ELSEWHERE:
            named = ELSEWHERE[named]
        elif named.startswith("docs" + os.sep):
            named = os.path.relpath(named, "docs")
        elif (ROOT / named).exists():  # a file that the site does not have
            return f"{match[1]} (`{named}`)" if match[1].strip("`") != named else f"`{named}`"
        else:
            return match[0]  # the strict build refuses it
        return f"[{match[1]}]({os.path.relpath(named, os.path.dirname(here) or '.')}{hash_mark}{heading})"

    return LINK.sub(link, text)
