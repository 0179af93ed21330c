"""Which networks work: named models and styles of the user's own modules, each through every step from load to export.

    python tests/benchmarks/networks.py --out docs/networks.csv            # all that have no row yet
    python tests/benchmarks/networks.py --out docs/networks.csv resnet18   # these again
    python tests/benchmarks/networks.py --out docs/networks.csv --part 2/4 # a quarter of them

Weights are random and inputs small: what is looked at is whether a network loads, is cut, runs as a chain, is counted,
trained, timed and exported, and how far chain and programs are from the module. Each runs in a process of its own with
a time limit, so that a crash is a row too. A row says which steps passed and, where one did not, why.
"""

import argparse
import multiprocessing
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from cifar import Rows
from network_list import MODELS, STYLES, Named

STEPS = ("load", "chain", "count", "train", "measure", "torch", "onnx")
COLUMNS = ("cut_points", "macs", "uncounted", "branches", "parity", "pt2_difference", "onnx_difference")


def walked(named: Named, ending: Connection) -> None:
    """Walk in this process and send the row."""
    import torch
    from walk import Walk

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(named.name, named.size, named.channels, Path(folder)).go()
    ending.send((walk.passed, walk.failed, walk.reason, walk.facts))


def row_of(named: Named, seconds: float) -> dict[str, object]:
    """The row of one network."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["walk", "timm", "torchvision"])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=walked, args=(named, there), daemon=True)
    process.start()
    there.close()
    passed, failed, reason, facts = [], "", "", {}
    try:
        if here.poll(seconds):
            passed, failed, reason, facts = here.recv()
        else:
            failed, reason = "time", f"not through after {seconds:g} s"
    except EOFError:
        process.join(5)
        failed, reason = "crash", f"the process ended with status {process.exitcode}"
    process.kill()
    process.join()
    outcome = "works" if len(passed) == len(STEPS) else f"stops at {failed}"
    row: dict[str, object] = {"name": named.name, "kind": named.kind, "size": named.size, "channels": named.channels}
    row |= {"outcome": outcome, "steps": len(passed)}
    row |= {column: facts.get(column, "") for column in COLUMNS}
    return row | {"reason": reason}


def main() -> None:
    """Walk through those that have no row, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these, again (default: all that have no row)")
    parser.add_argument("--out", type=Path, required=True, help="the CSV")
    parser.add_argument("--part", default="1/1", help="K/N: every N-th network, from the K-th")
    parser.add_argument("--seconds", type=float, default=600, help="the time limit of one network")
    given = parser.parse_args()
    everything = {named.name: named for named in (*MODELS, *STYLES)}
    rows = Rows(given.out, ("name",))
    rows.rows = [row for row in rows.rows if row["name"] not in given.names]
    part, parts = map(int, given.part.split("/"))
    wanted = given.names or [str(name) for (name,) in rows.missing((name,) for name in everything)]
    for name in wanted[part - 1 :: parts]:
        rows.add(row_of(everything[name], given.seconds))
    works = [row for row in rows.rows if row["outcome"] == "works"]
    print(f"{len(works)} of {len(rows.rows)} work")


if __name__ == "__main__":
    main()
