"""Spoilt inputs for every reader of what comes from outside: how many are read, refused in one line, or go wrong.

    python tests/benchmarks/spoilt_inputs.py [--inputs 2000] [--readers NAME ...] [--atheris SECONDS] [--out FILE]

Each reader runs in a process of its own that may take 1 GB more than it has when it begins (`RLIMIT_AS`), so that a
larger allocation goes wrong, too. The inputs follow from the reader's name and a number: a finding can be had again
with `--readers NAME --from NUMBER --inputs 1`. Readers that the file of `--out` holds already are not run again. With
`--atheris` (`pip install atheris`) each is also driven by coverage for so many seconds. Exits with status 1 where
anything went wrong.
"""

import argparse
import contextlib
import csv
import inspect
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

ROOM = 10**9
"""Bytes of memory that a reader may take."""
FIELDS = ("reader", "inputs", "read", "refused", "wrong", "most_mb", "slowest_s", "seconds")


def main() -> int:
    arguments = _arguments()
    if arguments.child:
        print(json.dumps(_run(arguments.child, arguments)))
        return 0
    from tests.spoilt_inputs import READERS

    names = arguments.readers or [reader.name for reader in READERS]
    out = arguments.out
    done = {} if out is None or not out.exists() else {row["reader"]: row for row in csv.DictReader(out.open())}
    print(("{:<18}" + "{:>10}" * 7).format(*FIELDS))
    for name in names:
        if name not in done:
            done[name] = _in_child(name, arguments)
            if out is not None:
                with out.open("w", newline="") as stream:
                    writer = csv.DictWriter(stream, FIELDS, extrasaction="ignore")
                    writer.writeheader()
                    writer.writerows(done.values())
        row = done[name]
        print(("{:<18}" + "{:>10}" * 7).format(*(row[field] for field in FIELDS)), flush=True)
        for finding in row.get("findings", ()):
            print(f"    {finding}", flush=True)
    return 1 if any(int(done[name]["wrong"]) for name in names) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--readers", nargs="*")
    parser.add_argument("--atheris", type=float, default=0.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_child(name: str, arguments: argparse.Namespace) -> dict:
    """The row of one reader, whose process may be killed by what it reads."""
    command = [sys.executable, __file__, f"--child={name}", "--inputs", str(arguments.inputs)]
    command += ["--from", str(arguments.first), "--atheris", str(arguments.atheris)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    lines = done.stdout.splitlines()
    with contextlib.suppress(ValueError, IndexError):
        return dict(json.loads(lines[-1]))
    row = dict.fromkeys(FIELDS, 0) | {"reader": name, "inputs": arguments.inputs, "wrong": 1}
    return row | {"findings": [f"the process ended with {done.returncode}: {done.stderr.strip()[-500:]}"]}


def _run(name: str, arguments: argparse.Namespace) -> dict:
    from tests.spoilt_inputs import READERS, attempt, spoil

    reader = next(reader for reader in READERS if reader.name == name)
    for data in reader.valid():
        with tempfile.TemporaryDirectory() as folder:
            attempt(reader, data, Path(folder))  # what is imported and made once
    begun, before = _address_space(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (begun + ROOM, resource.RLIM_INFINITY))
    found: Counter = Counter()
    findings: list[str] = []
    slowest, start = 0.0, time.monotonic()

    def count(outcome: str, label: object) -> None:
        found[outcome if outcome in ("read", "refused") else "wrong"] += 1
        if outcome not in ("read", "refused") and len(findings) < 5:
            findings.append(f"{label}: {outcome}")

    def one(data: bytes, label: object) -> None:
        nonlocal slowest
        with tempfile.TemporaryDirectory() as folder:
            beginning = time.monotonic()
            outcome = attempt(reader, data, Path(folder))
            slowest = max(slowest, time.monotonic() - beginning)
        count(outcome, label)

    for number in range(arguments.first, arguments.first + arguments.inputs):
        one(spoil(reader, random.Random(f"{name}/{number}")), number)
    for outcome, label in _driven(reader, arguments.atheris) if arguments.atheris else ():
        count(outcome, label)
    most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "reader": name,
        "inputs": sum(found.values()),
        **{kind: found[kind] for kind in ("read", "refused", "wrong")},
        "most_mb": round(most),
        "slowest_s": round(slowest, 2),
        "seconds": round(time.monotonic() - start, 1),
        "findings": findings,
    }


def _driven(reader, seconds: float) -> Iterator[tuple[str, str]]:
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
