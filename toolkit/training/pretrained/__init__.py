"""Networks trained on ImageNet, the features that they give, and classifiers on those features."""
