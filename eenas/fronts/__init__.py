"""Fronts: dominance, hypervolume and choice, with NumPy only."""
