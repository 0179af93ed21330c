"""Deployment: what leaves the project, written to a folder and loaded from it."""
