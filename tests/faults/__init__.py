"""A harness that harms every stage with real processes, signals and file systems."""
