"""The format of shares: "52.4 %"."""


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in [0, 1] (or above) as text: 0.524 is "52.4 %"; None is a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"
