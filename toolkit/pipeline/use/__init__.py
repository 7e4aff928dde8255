"""A trained network on its way to where it is used: one module for each verb."""
