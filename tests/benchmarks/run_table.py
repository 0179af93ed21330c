"""The table of a finished run, in Markdown: `python tests/benchmarks/run_table.py runs/STUDY-TRIAL`."""

import sys

from eenas.runs.run_report import RunReport


def main(folder: str) -> None:
    """Accuracy on the test split at each budget, the MACs really spent, and the interval against hand placement."""
    report = RunReport.read(folder)
    total = report.backbone.macs
    names = list(report.baselines_at_shares)
    print("| budget, share of MACs | accuracy | MACs spent | " + " | ".join(f"{n} | difference" for n in names) + " |")
    print("|---|---|---|" + "---|---|" * len(names))
    for share, point in report.at_shares.items():
        cells = [f"{share:.0%}"]
        cells += ["–", "–"] if point is None else [f"{point.accuracy:.2%}", f"{point.expected['macs'] / total:.1%}"]
        for name in names:
            other = report.baselines_at_shares[name][share]
            found = [c for c in report.comparisons if c.baseline == name and c.budget == share]
            cells.append("–" if other is None else f"{other.accuracy:.2%} at {other.expected['macs'] / total:.1%}")
            cells.append(f"{found[0].difference:+.2%} [{found[0].low:+.2%}, {found[0].high:+.2%}]" if found else "–")
        print("| " + " | ".join(cells) + " |")
    for baseline in report.baselines:
        if len(baseline.points) == 1:
            point = baseline.points[0]
            print(f"{baseline.name}: {point.accuracy:.2%} at {point.expected['macs'] / total:.1%} of the MACs")
    print(f"{report.samples:,} samples in {report.seconds / 60:.1f} min on {report.device}")
    print(f"{report.test_samples:,} test samples, {report.near_threshold} of them within 1e-5 of a threshold")


if __name__ == "__main__":
    main(sys.argv[1])
