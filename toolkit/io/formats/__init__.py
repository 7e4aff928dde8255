"""Formats that Pillow does not read: through packages that are extras, or refused by name."""
