"""Output on a network over tiers: its splits, bandwidths and exit rates as tables."""

from rich.table import Table

from eenas.cli.tables.tables import table
from eenas.escaping import one_line
from eenas.reporting.facts.tiers.tier_facts import TierFacts
from eenas.reporting.facts.tiers.tier_rows import part_names, range_rows, rate_rows, split_rows


def splits_table(found: TierFacts) -> Table:
    """Return the expected costs of each split, in the order of depth, with ▸ at the best one."""
    rows = split_rows(found)
    more = [name for name in ("energy", "price") if any(getattr(row, name) for row in rows)]
    heads = {"energy": "energy\n(J)", "price": "price"}
    names = ["split", *(f"{name}\n(ms)" for name in part_names(found)), "total\n(ms)", "bytes\nsent", "sending"]
    names = [one_line(name) if "\n" not in name else name for name in [*names, *(heads[name] for name in more)]]
    made = table("Splits", *names, right=range(1, len(names)))
    for row in rows:
        marked = f"{one_line(row.name)}{' ▸' if row.is_best else ''}"
        further = [getattr(row, name) for name in more]
        made.add_row(marked, *row.parts, row.latency, row.bytes, row.sending, *further)
    made.caption = "expected values for a sample, answer included"
    made.caption_justify = "left"
    return made


def bandwidth_table(found: TierFacts) -> Table:
    """Return the best split at each bandwidth of the first link."""
    made = table("Best split by bandwidth", "Mbit/s", "split")
    for mbit, name in range_rows(found):
        made.add_row(mbit, one_line(name))
    return made


def rates_table(found: TierFacts) -> Table:
    """Return the best split if more or fewer samples leave at each exit."""
    made = table("Best split by exit rates", "rates", "leaving\nearly", "split", "total", right=(1, 3))
    for factor, early, name, time in rate_rows(found):
        made.add_row(factor, early, one_line(name), time)
    return made
