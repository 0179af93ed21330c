"""Transforms in NumPy, as an exported model carries them: one for each kind of input."""
