"""The networks that a study knows beside those of its trials."""
