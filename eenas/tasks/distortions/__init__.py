"""Distortions of images: pure functions of uint8 arrays, and the wrapper that gives a task distorted samples."""
