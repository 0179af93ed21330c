"""The kinds of policies by name."""
