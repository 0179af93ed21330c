"""Training: losses over exits and one loop."""
