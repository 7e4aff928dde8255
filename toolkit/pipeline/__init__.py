"""What DVC runs: the whole of params.yaml, project folders, experiments, revisions, sweeps."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
