"""Named backbones and the user's own modules."""
