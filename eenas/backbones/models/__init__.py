"""Named backbones, and modules of the user's."""
