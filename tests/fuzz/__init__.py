"""Thousands of damaged files of every kind: each is read, or refused by one clear error."""
