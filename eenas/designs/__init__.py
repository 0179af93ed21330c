"""Designs: the search space, proposals and their resolution to designs."""
