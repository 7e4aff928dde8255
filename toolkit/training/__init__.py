"""The only room that imports torch: networks, the loop, checkpoints, runs, inference."""

import os

import lazy_loader

# Threads that wait sleep: if they spin, as is the default, two trainings beside each other take
# five times as long. OpenMP reads this once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
