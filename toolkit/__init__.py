"""Augment, train and compare on imbalanced image folders, and say honestly whether it helped."""
