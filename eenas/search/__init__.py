"""Search: the study, its trials, baselines and full training."""
