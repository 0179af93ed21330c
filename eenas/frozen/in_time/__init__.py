"""Exits in time fitted without gradient descent: fixed convolutions, and classifiers in closed form."""
