"""Runs: full training, its report, and how far brief scores can be trusted."""
