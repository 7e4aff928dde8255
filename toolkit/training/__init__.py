"""The only room that imports torch: networks, the loop, checkpoints, runs, inference."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
