"""The only room that imports torch: networks, the loop, checkpoints, runs, inference."""
