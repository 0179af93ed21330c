"""Additional costs of a study: of cut points, backbone and branches, by a formula, a table or user code."""
