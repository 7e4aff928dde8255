"""The audit: one module for each family of checks."""
