"""The study context: everything that the trials of a study share."""
