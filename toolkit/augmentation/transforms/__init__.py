"""Named transforms, policies of them, and how both are read."""
