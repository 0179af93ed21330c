"""Job files that start the workers of a study on a cluster."""
