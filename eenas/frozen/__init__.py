"""Frozen: what is learned on the frozen backbone."""
