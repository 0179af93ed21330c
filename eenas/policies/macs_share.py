"""The unit of a limit on MACs: a share of the plain backbone's MACs, not a percentage."""

MOST_MACS = 2.0
"""The largest limit that is accepted. Branches may cost more than they save, but a larger limit is a percentage."""


def unit_fault(name: str, share: float) -> str | None:
    """Return an error text for a limit above MOST_MACS, with the share that was probably meant; else None."""
    if not share > MOST_MACS:
        return None
    return (
        f"{name} is a share of the backbone's MACs (0.2 for 20 %), got {share:g}; give {share / 100:g} for {share:g} %"
    )
