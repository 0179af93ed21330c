"""Networks with expert branches: one backbone, and for each kind of distortion its own branches and final layer."""
