"""Lets every fault of the machine befall a trial of one study, one after another, and counts the trials used up.

    python tests/benchmarks/machine_faults.py

Each search must stop with the reason in one line; the next one goes on with the same study. In the end the study runs
to a total without faults. Prints a line for each fault and raises AssertionError where a trial was used up. Some faults
need Linux, a full disk needs root.
"""

import argparse
import tempfile
from pathlib import Path

import optuna
import torch

from eenas.results.read import open_results
from tests.smallest_study import url
from tests.study.machine_faults import FAULTS
from tests.study.test_machine_faults import befall, go, used_up


def main() -> None:
    """All faults, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help="names of faults (default: all)")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        go(folder, trials=1)
        for fault in given.faults or FAULTS:
            said = befall(folder, fault)
            print(f"{fault}: {used_up(folder)} trials used up; {said}", flush=True)
        ended = len(open_results(url(folder)).trials)
        whole = go(folder, trials=ended + 2)
        lost = used_up(folder)
        print(f"{len(given.faults or FAULTS)} faults, {lost} trials used up, {len(whole.trials)} trials in the end")
        assert lost == 0
        assert len(whole.trials) == ended + 2


if __name__ == "__main__":
    main()
