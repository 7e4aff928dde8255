"""Runs of images in folds: each image is scored by a network that was trained without its fold."""
