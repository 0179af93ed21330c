"""Tasks: raw samples, labels and four splits."""
