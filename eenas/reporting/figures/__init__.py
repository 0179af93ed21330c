"""Figures: facts first, drawing second."""
