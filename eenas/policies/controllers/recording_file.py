"""Reading recorded confidences from a CSV file, whose columns are found by name."""

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eenas.bounds import read_file
from eenas.errors import PolicyError, SpecError, plural
from eenas.escaping import shortened
from eenas.policies.controllers.recording import Recording

MOST_BYTES = 64_000_000
"""The largest size of a file."""
MOST_CELLS = 4_000_000
"""The largest number of cells. Each takes about a hundred bytes of memory while the file is read."""
_CONFIDENCE = re.compile(r"conf_branch(?:es)?_(\d{1,3})")
_CORRECT = re.compile(r"correct_branch(?:es)?_(\d{1,3})")
_CLASS = re.compile(r"inferr?ed_class_branch(?:es)?_(\d{1,3})")
_TARGETS = ("target", "label")
_TRUTHS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_COLUMNS = "conf_branch_1, conf_branch_2, ... (the last is the final exit), and correct_branch_1, ... for accuracy"


def read_recording(path: str | Path) -> Recording:
    """Return the recording in a CSV file with a header, one line for each sample.

    Exit k has the columns `conf_branch_k` (its confidence in [0, 1]; NaN or empty counts as 0) and, for accuracy,
    `correct_branch_k` (0 or 1), or `infered_class_branches_k` beside `target`. The last number is the final exit. A
    column `context`, or `distortion_type` with `distortion_lvl`, names the circumstances. Other columns are ignored.
    Raises PolicyError with the file, and the column or line, for anything else.
    """
    file = Path(path)
    rows = _rows(file)
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise PolicyError(f"{file}: the column {shortened(twice[0])} occurs twice; rename one")
    columns = {name: index for index, name in enumerate(header)}
    confidences = _numbered(file, columns, _CONFIDENCE)
    exits = len(confidences)
    if exits < 2 or sorted(confidences) != list(range(1, exits + 1)):
        missing = next(k for k in range(1, exits + 3) if k not in confidences)
        raise PolicyError(f"{file}: the column conf_branch_{missing} is missing; a recording needs {_COLUMNS}")
    body = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    if not body:
        raise PolicyError(f"{file}: has a header but no samples; give a file with a line for each sample")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise PolicyError(f"{file}: line {number} has {plural(len(row), 'column')}, the header has {len(header)}")
    wanted = [confidences[k] for k in range(1, exits + 1)]
    try:
        return Recording(
            name=file.name,
            confidences=np.array([_numbers(file, body, index, header[index]) for index in wanted]).T,
            exits=(*(f"branch {k}" for k in range(1, exits)), "final"),
            correct=_correct(file, body, columns, exits),
            contexts=_context_names(body, columns),
        )
    except PolicyError as error:
        raise PolicyError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from None


def _rows(file: Path) -> list[list[str]]:
    """Return the cells of a file. Raises PolicyError for one that is empty or not a text."""
    try:
        text = read_file(file, MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise PolicyError(f"{file}: no such file; give a CSV file of confidences") from None
    except OSError as error:
        raise PolicyError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise PolicyError(f"{file}: is not a text in UTF-8; give a CSV file of confidences") from None
    except SpecError as error:
        raise PolicyError(str(error)) from None
    if (cells := sum(map(text.count, ",\n\r")) + 1) > MOST_CELLS:
        raise PolicyError(
            f"{file}: has about {cells:,} cells, at most {MOST_CELLS:,} are read; give fewer samples or columns"
        )
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise PolicyError(f"{file}: is not a CSV file ({error})") from None
    if not rows or not any(rows[0]):
        raise PolicyError(f"{file}: is empty; a recording needs {_COLUMNS}")
    return rows


def _numbered(file: Path, columns: dict[str, int], pattern: re.Pattern[str]) -> dict[int, int]:
    """Return the columns whose names match, by the number in the name. Raises PolicyError for a number twice."""
    found: dict[int, int] = {}
    for name, index in columns.items():
        if match := pattern.fullmatch(name):
            if int(match[1]) in found:
                raise PolicyError(f"{file}: the column {shortened(name)} has the number of another one; rename one")
            found[int(match[1])] = index
    return found


def _numbers(file: Path, rows: Sequence[Sequence[str]], index: int, name: str) -> list[float]:
    found = []
    for number, row in enumerate(rows, start=2):
        cell = row[index].strip()
        try:
            found.append(float(cell) if cell else math.nan)
        except ValueError:
            raise PolicyError(f"{file}: line {number}: {name} must be a number, got {shortened(cell)}") from None
    return found


def _correct(
    file: Path, rows: Sequence[Sequence[str]], columns: dict[str, int], exits: int
) -> NDArray[np.bool_] | None:
    """Return whether each exit is correct, [N, K], or None if the file does not say so."""
    given, classes = _numbered(file, columns, _CORRECT), _numbered(file, columns, _CLASS)
    target = next((columns[name] for name in _TARGETS if name in columns), None)
    wanted = range(1, exits + 1)
    if all(k in given for k in wanted):
        found = []
        for k in wanted:
            cells = [row[given[k]].strip().lower() for row in rows]
            if bad := [number for number, cell in enumerate(cells, start=2) if cell not in _TRUTHS]:
                cell = shortened(rows[bad[0] - 2][given[k]])
                raise PolicyError(f"{file}: line {bad[0]}: correct_branch_{k} must be 0 or 1, got {cell}")
            found.append([_TRUTHS[cell] for cell in cells])
        return np.array(found).T
    if target is not None and all(k in classes for k in wanted):
        truth = np.array(_numbers(file, rows, target, "target"))
        return np.array([np.array(_numbers(file, rows, classes[k], f"class {k}")) == truth for k in wanted]).T
    return None


def _context_names(rows: Sequence[Sequence[str]], columns: dict[str, int]) -> NDArray[np.str_] | None:
    """Return the context of each sample, [N], or None if there is no such column."""
    if "context" in columns:
        return np.array([row[columns["context"]].strip() or "unknown" for row in rows])
    if "distortion_type" in columns:
        kinds = [row[columns["distortion_type"]].strip() or "unknown" for row in rows]
        if "distortion_lvl" not in columns:
            return np.array(kinds)
        levels = [row[columns["distortion_lvl"]].strip() for row in rows]
        return np.array([f"{kind}:{level}" if level else kind for kind, level in zip(kinds, levels, strict=True)])
    return None
