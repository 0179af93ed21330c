"""Weights: files of many kinds, and the keys in them."""
