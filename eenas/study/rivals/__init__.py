"""Rivals: the networks of a study that are not trained by its trials."""
