"""Frozen: learning on the frozen backbone."""
