"""Branches: one file per family of structure."""
