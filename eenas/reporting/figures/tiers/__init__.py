"""Figures of a network over tiers."""
