"""The names of splits between tiers and of the costs that depend on the split, and the codecs that fit there."""

TierSplit = str | tuple[str, ...]
"""A split between tiers: the name of a cut point, CLOUD_ONLY or EDGE_ONLY.

With more than two tiers, it is a tuple of such names, one for each link.
"""

CLOUD_ONLY, EDGE_ONLY = "", "final"
"""The splits that send the input itself and run everything on the last tier, and that send nothing."""

TIER_LATENCY, BYTES_SENT, TIER_ENERGY, PRICE = "tier_latency", "bytes_sent", "tier_energy", "price"
"""The costs that depend on the split: milliseconds end to end, bytes, joules, and a price in any currency."""

SPLIT_COSTS = (TIER_LATENCY, BYTES_SENT, TIER_ENERGY, PRICE)
"""Their names in order."""


def codec_fault(codec: str, carried: int) -> str:
    """Return why a codec must not be used for features with so many carried columns, with those to use; "" if it may.

    Carried columns stay exact. The first is a mask, which float16 keeps; others hold numbers, such as those of nodes.
    """
    fitting = ("float32",) if carried > 1 else ("float32", "float16")
    if not carried or codec in fitting:
        return ""
    what = "numbers of nodes, or others that later layers read" if carried > 1 else "a mask"
    return f"{what} must stay exact beside the features there, and {codec} changes them; use {' or '.join(fitting)}"
