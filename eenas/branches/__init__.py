"""Branches: one file for each family of structures."""
