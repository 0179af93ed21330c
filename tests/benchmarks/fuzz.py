"""Damaged inputs, thousands for each reader of what comes from outside: how many are read, refused, or go wrong.

    python tests/benchmarks/fuzz.py [--examples 2000] [--only NAME ...] [--atheris SECONDS] [--out fuzz.csv]

A row is a reader of `tests/spoilt_inputs.py`, by its name, or a fuzz test of the suite, by its node id; `--only` takes
rows by a part of either. Each runs in a process of its own. A reader may take 1 GB more than it has when it begins
(`RLIMIT_AS`), so that a larger allocation goes wrong, too; its inputs follow from its name and a number, so that a
finding can be had again with `--only NAME --from NUMBER --examples 1`. With `--atheris` (`pip install atheris`) readers
are also driven by coverage for so many seconds. What stands in the file with nothing wrong is not run again. Exits with
status 1 where anything went wrong.
"""

import argparse
import contextlib
import csv
import inspect
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
if TYPE_CHECKING:
    from tests.spoilt_inputs import Reader

ROOM = 10**9
"""Bytes of memory that a reader may take."""
FIELDS = ("name", "examples", "read", "refused", "wrong", "most_mb", "slowest_s", "seconds")
NEEDLE = re.compile(r"max_examples=examples\(")
LINE = "{:<10}" * 7 + "{}"
Row = dict[str, Any]


def main() -> int:
    """Run what the file does not hold yet, and print the table."""
    arguments = _arguments()
    if arguments.child:
        print(json.dumps(_read_all(arguments.child, arguments)))
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = [name for name in _names() if not arguments.only or any(part in name for part in arguments.only)]
    rows = {}
    if arguments.out.exists():
        rows = {row["name"]: row for row in csv.DictReader(arguments.out.open())}
    print(LINE.format(*FIELDS[1:], FIELDS[0]))
    for name in names:
        known = rows.get(name)
        if known is None or known["wrong"] != "0" or known["examples"] != str(arguments.examples):
            rows[name] = (_test if "::" in name else _reader)(name, arguments)
            with arguments.out.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, FIELDS, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows.values())
        print(LINE.format(*(rows[name][field] for field in FIELDS[1:]), name), flush=True)
        for finding in rows[name].get("findings", ()):
            print(f"    {finding}", flush=True)
    wrong = sum(str(rows[name]["wrong"]) != "0" for name in names)
    print(f"{len(names) - wrong} of {len(names)} went right with {arguments.examples:,} examples each")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--atheris", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path("fuzz.csv"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _names() -> list[str]:
    """The readers, then the fuzz tests, each parameter of theirs by itself."""
    from tests.spoilt_inputs import READERS

    files = [str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py") if NEEDLE.search(path.read_text())]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-n0", *sorted(files)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [*(reader.name for reader in READERS), *(line for line in found if "::" in line and _is_fuzz(line))]


def _is_fuzz(name: str) -> bool:
    path, _, test = name.partition("::")
    text, function = (ROOT / path).read_text(), re.escape(test.partition("[")[0].split("::")[-1])
    return re.search(rf"examples=examples\([^\n]*\n(?:@[^\n]*\n|    [^\n]*\n|\)\n)*def {function}\(", text) is not None


def _test(name: str, arguments: argparse.Namespace) -> Row:
    """The row of one test."""
    environment = {**os.environ, "EENAS_FUZZ_EXAMPLES": str(arguments.examples)}
    begun, child = time.monotonic(), os.fork()
    if child == 0:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.chdir(ROOT)
        command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", name]
        os.execve(sys.executable, command, environment)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    row = dict.fromkeys(FIELDS, "") | {"name": name, "examples": arguments.examples, "wrong": int(code != 0)}
    row |= {"most_mb": used.ru_maxrss // 1024, "seconds": round(time.monotonic() - begun, 1)}
    return row | {"findings": [f"ended with status {code}; run it again to see why"] if code else []}


def _reader(name: str, arguments: argparse.Namespace) -> Row:
    """The row of one reader, whose process may be killed by what it reads."""
    command = [sys.executable, __file__, f"--child={name}", "--examples", str(arguments.examples)]
    command += ["--from", str(arguments.first), "--atheris", str(arguments.atheris)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    lines = done.stdout.splitlines()
    with contextlib.suppress(ValueError, IndexError):
        return dict(json.loads(lines[-1]))
    row = dict.fromkeys(FIELDS, "") | {"name": name, "examples": arguments.examples, "wrong": 1}
    return row | {"findings": [f"the process ended with {done.returncode}: {done.stderr.strip()[-500:]}"]}


def _read_all(name: str, arguments: argparse.Namespace) -> Row:
    """The same, in that process."""
    from tests.spoilt_inputs import READERS, attempt, spoil

    reader = next(reader for reader in READERS if reader.name == name)
    for data in reader.valid():
        with tempfile.TemporaryDirectory() as folder:
            attempt(reader, data, Path(folder))  # what is imported and made once
    begun, before = _address_space(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (begun + ROOM, resource.RLIM_INFINITY))
    found: Counter[str] = Counter()
    findings: list[str] = []
    slowest, start = 0.0, time.monotonic()

    def count(outcome: str, label: object) -> None:
        found[outcome if outcome in ("read", "refused") else "wrong"] += 1
        if outcome not in ("read", "refused") and len(findings) < 5:
            findings.append(f"{label}: {outcome}")

    for number in range(arguments.first, arguments.first + arguments.examples):
        data = spoil(reader, random.Random(f"{name}/{number}"))
        with tempfile.TemporaryDirectory() as folder:
            beginning = time.monotonic()
            outcome = attempt(reader, data, Path(folder))
            slowest = max(slowest, time.monotonic() - beginning)
        count(outcome, number)
    for outcome, label in _driven(reader, arguments.atheris) if arguments.atheris else ():
        count(outcome, label)
    most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "name": name,
        "examples": arguments.examples,
        **{kind: found[kind] for kind in ("read", "refused", "wrong")},
        "most_mb": round(most),
        "slowest_s": round(slowest, 2),
        "seconds": round(time.monotonic() - start, 1),
        "findings": findings,
    }


def _driven(reader: "Reader", seconds: float) -> Iterator[tuple[str, str]]:
    """Inputs by the coverage of eenas that earlier ones reached, in a fork since libFuzzer ends its process: each
    outcome with the beginning of its input.
    """
    import atheris

    from tests.spoilt_inputs import attempt

    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        for module in [module for name, module in sys.modules.items() if name.startswith("eenas.")]:
            for function in [each for each in vars(module).values() if inspect.isfunction(each)]:
                atheris.instrument_func(function)

        def tried(data: bytes) -> None:
            with tempfile.TemporaryDirectory() as folder:
                outcome = attempt(reader, data, Path(folder))
            os.write(writing, json.dumps([outcome, data.hex()[:200]]).encode() + b"\n")

        with tempfile.TemporaryDirectory() as corpus:
            for index, data in enumerate(reader.valid()):
                (Path(corpus) / str(index)).write_bytes(data)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            atheris.Setup([sys.argv[0], corpus, f"-max_total_time={seconds:.0f}", "-verbosity=0"], tried)
            atheris.Fuzz()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        yield from (tuple(json.loads(line)) for line in lines)
    os.wait()


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
