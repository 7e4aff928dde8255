"""From the results of runs to comparisons and verdicts; the probe; sweeps as numbers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
