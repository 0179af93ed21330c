"""Experts for distorted images, trained on the frozen backbone of a trained early-exit network."""
