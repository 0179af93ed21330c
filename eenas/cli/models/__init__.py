"""Verbs that make a model folder of another one."""
