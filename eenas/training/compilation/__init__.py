"""Compilation of training passes by torch.compile, and the measurement that decides on it."""
