"""Drawn faces with and without masks, which demonstrate the toolkit offline."""
