"""Codecs of features between tiers: the choice for a run, and its report."""
