"""From the results of runs to comparisons, verdicts and sweeps; and the probe of new images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
