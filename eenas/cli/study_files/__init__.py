"""Verbs about study files and their keys."""
