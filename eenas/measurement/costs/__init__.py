"""Costs of a study's own: what a cut point, the backbone and a branch cost, by a formula, a table or one's own code."""
