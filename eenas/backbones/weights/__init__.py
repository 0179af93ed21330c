"""Weights: files of several formats, and the keys in them."""
