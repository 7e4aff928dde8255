"""Fault injection: stages are disturbed with real signals, file systems and limits."""
