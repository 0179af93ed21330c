"""Contexts: accuracy under distortions, scores in each context, and thresholds fitted per context."""
