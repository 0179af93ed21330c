"""Handle: a study in Python, from its search to its report."""
