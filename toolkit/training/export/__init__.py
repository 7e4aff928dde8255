"""A run's network as one file that needs neither this package nor, as ONNX, torch."""
