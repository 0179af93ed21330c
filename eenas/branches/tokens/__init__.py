"""Families of branches for sequences of tokens, with or without a mask of padding."""
