"""The names of splits between tiers, and of the costs that depend on the split."""

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
