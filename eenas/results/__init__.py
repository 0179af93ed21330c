"""Results: a study read back."""
