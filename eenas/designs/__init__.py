"""Designs: the search space, proposals and what they resolve to."""
