"""The unit of a limit on MACs: a share of the plain backbone's, which a user may take for per cent."""

MOST_MACS = 2.0
"""Branches may cost more than the backbone saves; a limit on twice its MACs and more is no limit, and was meant so by
nobody."""


def unit_fault(name: str, share: float) -> str | None:
    """What is wrong with a limit that is too large for a share of the backbone's MACs, and the likely meaning."""
    if not share > MOST_MACS:
        return None
    return (
        f"{name} is a share of the backbone's MACs (0.2 for 20 %), got {share:g}; give {share / 100:g} for {share:g} %"
    )
