"""The drawn faces that demonstrate the toolkit offline."""
