"""The verbs and flags of models that run in two places."""
