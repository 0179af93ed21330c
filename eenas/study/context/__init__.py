"""The study context: what all trials of a study share, made once."""
