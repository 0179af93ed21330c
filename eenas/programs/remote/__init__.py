"""Exported models over the network."""
