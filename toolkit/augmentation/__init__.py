"""Plan, render and explain new images."""
