"""Where images come from, how folders are read, and how they are split."""
