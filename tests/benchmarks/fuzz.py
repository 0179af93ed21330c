"""Damaged inputs, thousands a reader: `python tests/benchmarks/fuzz.py --examples 2000 --out fuzz.csv`; resumable.

Runs every fuzz test of the suite with so many examples, each in a process of its own, and notes how it ended and the
most memory that it held. Tests that stand in the file already are not run again.
"""

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDLE = re.compile(r"max_examples=examples\(")
FIELDS = ("test", "examples", "ended", "largest MiB")


def fuzz_tests() -> list[str]:
    """The fuzz tests, each parameter of theirs by itself."""
    files = [str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py") if NEEDLE.search(path.read_text())]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-n0", *sorted(files)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    names = [line for line in found if "::" in line]
    return [name for name in names if _is_fuzz(name)]


def _is_fuzz(name: str) -> bool:
    path, _, test = name.partition("::")
    text, function = (ROOT / path).read_text(), re.escape(test.partition("[")[0].split("::")[-1])
    return re.search(rf"examples=examples\([^\n]*\n(?:@[^\n]*\n|    [^\n]*\n|\)\n)*def {function}\(", text) is not None


def run(name: str, examples: int) -> dict[str, object]:
    """One test in a process of its own."""
    environment = {**os.environ, "EENAS_FUZZ_EXAMPLES": str(examples)}
    child = os.fork()
    if child == 0:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.chdir(ROOT)
        command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", name]
        os.execve(sys.executable, command, environment)
    _, status, used = os.wait4(child, 0)
    ended = "passed" if os.waitstatus_to_exitcode(status) == 0 else f"status {os.waitstatus_to_exitcode(status)}"
    return dict(zip(FIELDS, (name, examples, ended, used.ru_maxrss // 1024), strict=True))


def main() -> None:
    """Run what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("fuzz.csv"))
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rows = list(csv.DictReader(given.out.open())) if given.out.exists() else []
    done = {row["test"] for row in rows if row["examples"] == str(given.examples) and row["ended"] == "passed"}
    rows = [row for row in rows if row["test"] in done]
    for name in fuzz_tests():
        if name not in done:
            rows.append({key: str(value) for key, value in run(name, given.examples).items()})
            with given.out.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, FIELDS)
                writer.writeheader()
                writer.writerows(rows)
            print(f"{rows[-1]['ended']:10} {rows[-1]['largest MiB']:>6} MiB  {name}", flush=True)
    passed = sum(row["ended"] == "passed" for row in rows)
    print(f"{passed} of {len(rows)} passed with {given.examples:,} examples each")
    sys.exit(passed != len(rows))


if __name__ == "__main__":
    main()
