"""The versions that tests ran with: writes tests/tested_versions.txt, or prints the lowest that pyproject.toml allows.

python tests/versions.py             # after a green run of all tests, in that environment
python tests/versions.py --lowest    # constraints for pip: every direct dependency at its lower bound
"""

import importlib.metadata
import platform
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
TESTED = Path(__file__).with_name("tested_versions.txt")
OWN, LEFT_OUT = "eenas", ("postgresql", "series", "ray")
"""The project itself, and the extras that a run of the tests does not need."""


def direct() -> dict[str, Requirement]:
    """The direct dependencies, those of the extras for ONNX, tests and development included, by canonical name."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for name in extras if name not in LEFT_OUT for text in extras[name])]
    found: dict[str, Requirement] = {}
    for text in texts:
        wanted = Requirement(text)
        if (name := canonicalize_name(wanted.name)) != OWN:
            known = found.get(name)
            found[name] = wanted if known is None or _lower(wanted) > _lower(known) else known
    return found


def lowest() -> Iterator[str]:
    """Lines such as "torch==2.6" that hold every direct dependency at its lower bound."""
    for name, wanted in sorted(direct().items()):
        yield f"{name}=={'.'.join(map(str, _lower(wanted)))}"


def installed(names: Iterable[str]) -> Iterator[str]:
    """Lines such as "torch==2.14.1" for these distributions and all that they need here, as they are installed."""
    left, found = [Requirement(name) for name in names], {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while left:
        wanted = left.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        distribution = importlib.metadata.distribution(wanted.name)
        found[key[0]] = distribution.version
        for text in distribution.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": each}) for each in ("", *wanted.extras)):
                left.append(needed)
    yield from (f"{name}=={version}" for name, version in sorted(found.items()))


def read_tested() -> dict[str, str]:
    """The version of every distribution that `tested_versions.txt` names."""
    lines = TESTED.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, _, version in pairs}


def _lower(wanted: Requirement) -> tuple[int, ...]:
    bound = next(each.version for each in wanted.specifier if each.operator == ">=")
    return tuple(int(part) for part in bound.split("."))


def main() -> None:
    """Write the file, or print the constraints."""
    if "--lowest" in sys.argv[1:]:
        print("\n".join(lowest()))
        return
    names = [str(each).replace(str(each.specifier), "") for each in direct().values()]
    head = (
        f"# The versions of a run in which every test passed (Python {platform.python_version()}, {platform.system()})."
    )
    how = "# Written by `python tests/versions.py`."
    TESTED.write_text("\n".join([head, how, *installed(names)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
