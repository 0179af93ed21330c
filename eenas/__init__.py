"""eenas finds where a neural network may stop early."""

__version__ = "0.1.0"
