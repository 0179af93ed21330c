"""Figures: each has a value with its facts, and a function that draws them."""
