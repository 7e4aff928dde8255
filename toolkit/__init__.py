"""Augment, train and compare on imbalanced image folders, and say honestly whether it helped.

The functions have the names, options and defaults of the commands:

>>> import toolkit as tk
>>> tk.audit.__module__
'toolkit.pipeline.steps.audit'

They are loaded when they are first used.
"""

import os
from typing import Any

import lazy_loader

# Threads that wait sleep: if they spin, as is the default, two trainings beside each other take
# five times as long. OpenMP reads this once, when torch is first imported, whichever module does.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("imbalanced-images")
    return _load(name)
