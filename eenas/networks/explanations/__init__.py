"""Explanations: the places of an input that each exit looks at, and measures of them."""
