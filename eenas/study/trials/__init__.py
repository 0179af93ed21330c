"""Trials: from proposal to scores, what is pruned, and whose fault a failure is."""
