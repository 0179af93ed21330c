"""Settings: the study file, the identity of a study, and its limits."""
