"""Transforms: from a task's samples to what a backbone takes, one for each kind of input."""
