"""Scores as detectors of errors: `python tests/benchmarks/error_detection.py CALIBRATION.npz TEST.npz`.

Both are exit tables of one network, for example those that equal_training.py keeps. Temperatures and the heads of
failure prediction are fitted on the first. On the second, each score of an exit is judged by its area under the ROC
curve (AUROC) for wrong answers of that exit, and at the final exit also the confusion of all exits. Then the policies
of both kinds are compared at shares of the final exit's MACs, with paired intervals. Takes seconds.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eenas.policies.bootstrap import paired_bootstrap
from eenas.policies.costs import MACS
from eenas.policies.exit_table_file import load_exit_table
from eenas.policies.fit import Fitting
from eenas.policies.kinds.signal_policy import Evidence
from eenas.policies.learned.learned_kinds import FailurePredictionPolicy
from eenas.policies.learned.selection import fit_learned
from eenas.policies.risk.error_detection import auroc, confusion
from eenas.policies.scores import SCORES, score
from eenas.policies.temperatures import fit_temperatures


def main(given: Sequence[str]) -> None:
    """Print the areas of every score at every exit, then the accuracies of both kinds of policy."""
    calibration, test = (load_exit_table(Path(path)) for path in given)
    temperatures = tuple(fit_temperatures(calibration).tolist())
    learned = fit_learned(FailurePredictionPolicy.kind, calibration, temperatures)
    wins = learned.wins(temperatures, "max_softmax")
    heads = learned.shapes[0].signals(Evidence(test, temperatures))
    wrong = ~test.correct()
    names = (*SCORES, FailurePredictionPolicy.kind, "confusion")
    print(" | ".join(("exit", "wrong", *names)))
    for k, name in enumerate(test.exits):
        areas = [auroc(-score(test.logits[:, k], temperatures[k], kind), wrong[:, k]) for kind in SCORES]
        last = k == test.num_exits - 1
        head = "–" if last else f"{auroc(-heads[:, k], wrong[:, k]):.3f}"
        spread = f"{auroc(confusion(test, temperatures), wrong[:, k]):.3f}" if last else "–"
        print(" | ".join((name, f"{wrong[:, k].mean():.1%}", *(f"{area:.3f}" for area in areas), head, spread)))
    print(f"failure prediction {'wins' if wins else 'does not win'} on held-out calibration samples")
    common, candidates = Fitting(calibration), learned.candidates()
    for share in (0.3, 0.5, 0.7, 0.9):
        budget = {MACS: share * float(test.costs[MACS][-1])}
        right = [
            policy.apply(test).answer == test.labels for policy in (candidates.best(budget), common.policy(budget))
        ]
        gain, low, high = (100 * value for value in paired_bootstrap(right[0], right[1], seed=0))
        accuracies = " and ".join(f"{np.mean(each):.2%}" for each in right)
        print(f"{share:.0%} of the MACs: {accuracies}, {gain:+.2f} points ({low:+.2f} to {high:+.2f})")


if __name__ == "__main__":
    main(sys.argv[1:])
