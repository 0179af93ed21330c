"""Verbs on policies and controllers."""
