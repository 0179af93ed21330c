"""Trials: from proposal to scores, pruning, and the causes of failures."""
