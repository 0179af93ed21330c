"""Input transforms in NumPy for exported models, one for each kind of input."""
