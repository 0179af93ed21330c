"""The regret of every controller on recorded confidences, on a steady stream and under a switch.

    python tests/benchmarks/bandits.py confidences.csv --out bandits.csv
    python tests/benchmarks/bandits.py confidences.csv --out bandits.csv --check

Each row is one controller, overhead and stream: pseudo-regret after 20,000 rounds with each of five seeds. The CSV of
confidences has the columns that `eenas simulate` reads. `--check` compares the rows with the bounds that the default
must hold. An interrupted command continues when rerun.
"""

import argparse
from itertools import product
from pathlib import Path

from cifar import Rows

from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.controllers.recording_file import read_recording
from eenas.policies.controllers.simulation import simulate_stream
from eenas.policies.controllers.stream import Stream
from eenas.reporting.facts.simulation_facts import mean_outcome

CONTROLLERS = {
    "default": "adaee",
    "default, own samples only": "adaee,share=none",
    "default, own samples only, c 1": "adaee,share=none,c=1",
    "discount 0.999": "adaee,discount=0.999",
    "window 2000": "adaee,window=2000",
    "UCB-V": "adaee,index=ucb_v",
    "UCB-Tuned": "adaee,index=ucb_tuned",
    "Bayes-UCB": "adaee,index=bayes_ucb",
    "Thompson": "adaee,index=thompson",
    "guard over the default": "drift_guard",
}
OVERHEADS = (0.1, 0.2, 0.3)
STREAMS = {"steady": "clean", "switch": "clean,halved,clean"}
MOST = 35.0
"""The bound on the pseudo-regret of the default on a steady stream, for every overhead and seed."""


def main() -> None:
    """Run what the CSV has no row for, and check the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("confidences", type=Path, help="recorded confidences")
    parser.add_argument("--out", type=Path, required=True, help="the CSV; rows that it has are not run again")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--check", action="store_true", help="compare with the bounds and end with status 1 if one fails"
    )
    given = parser.parse_args()
    recording, rows = read_recording(given.confidences), Rows(given.out, ("controller", "overhead", "stream"))
    for key in rows.missing(product(CONTROLLERS, OVERHEADS, STREAMS)):
        name, overhead, stream = map(str, key)
        setting = "controller.overhead" if name.startswith("guard") else "overhead"
        kind = controller_from_text(f"{CONTROLLERS[name]},{setting}={overhead}")
        found = simulate_stream(kind, recording, Stream.read(STREAMS[stream]), seeds=given.seeds)
        mean, best = mean_outcome(found), found.phases[0]
        rows.add(
            {
                "controller": name,
                "overhead": overhead,
                "stream": stream,
                "regret": f"{mean.regret:.1f}",
                "regrets": " ".join(f"{each.regret:.1f}" for each in found.outcomes),
                "sample_regret": f"{mean.sample_regret:.4f}",
                "accuracy": "" if mean.accuracy is None else f"{mean.accuracy:.4f}",
                "leaving": f"{mean.leaving:.3f}",
                "best_arm": found.names()[best.best],
                "best_mean": f"{best.means[best.best]:.4f}",
                "best_fixed": found.best_fixed,
                "best_fixed_regret": f"{found.baselines[found.best_fixed].regret:.1f}",
            }
        )
    if given.check:
        check(rows)


def check(rows: Rows) -> None:
    """Print whether each bound holds, and end with status 1 if one does not."""
    found = {(row["controller"], float(row["overhead"]), row["stream"]): row for row in rows.rows}
    held = []
    for overhead in OVERHEADS:
        row = found["default", overhead, "steady"]
        worst = max(map(float, row["regrets"].split()))
        held.append(worst <= MOST)
        best = f"best arm {row['best_arm']} earns {row['best_mean']}"
        print(f"overhead {overhead}: {best}; regret at most {worst} <= {MOST:g}")
        plain, lower = (float(found[name, overhead, "switch"]["regret"]) for name in ("default", "discount 0.999"))
        held.append(lower < plain)
        print(f"overhead {overhead}, switch: {lower} with the discount < {plain} without")
    print("all bounds hold" if all(held) else "a bound is broken")
    raise SystemExit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
