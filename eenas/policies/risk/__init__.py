"""Policies with a guarantee on their loss against the final exit."""
