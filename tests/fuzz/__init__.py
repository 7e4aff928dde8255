"""Fuzzing: damaged files of every kind are read, or refused with one clear error."""
