"""Settings: the study file, what makes a study the same, and its limits."""
