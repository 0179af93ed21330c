"""Fronts: dominance, hypervolume and choice; NumPy only."""
