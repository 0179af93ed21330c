"""Policies: exit tables, scores, thresholds and operating points; NumPy only."""
