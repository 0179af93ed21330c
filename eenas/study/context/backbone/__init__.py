"""The backbone of a study: as given, trained where its weights are new, and prepared."""
