"""Parameters and FLOPs of networks, with torchvision's own figures as oracle."""

import pytest
import torchvision

from toolkit.errors import InputError
from toolkit.training import flops


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "resnet34", "resnet50", "vgg16_bn"])
def test_flops_are_those_that_torchvision_states(name):
    """torchvision counts billions of multiply-adds, which are two operations each."""
    stated = torchvision.models.get_model_weights(name).DEFAULT.meta
    summary = flops.summarize_network(name, 224, 1000)
    assert summary.flops / 2e9 == pytest.approx(stated["_ops"], abs=1e-3)
    heads = sum(layer.parameters for layer in summary.layers if layer.output is None)
    norms_of_heads = 2 * 2 * 128 if heads else 0
    assert summary.parameters - heads - norms_of_heads == stated["num_params"]


def test_layers_have_output_shapes_and_their_flops_add_up():
    summary = flops.summarize_network("resnet18_plain", 64, 3)
    assert (summary.layers[0].name, summary.layers[0].output) == ("conv1", (64, 32, 32))
    assert summary.layers[-1].output == (3,)
    assert sum(layer.flops for layer in summary.layers) == summary.flops


def test_too_small_images_are_refused():
    with pytest.raises(InputError, match="16 pixels and 2 classes or more, got 8 pixels and 2"):
        flops.summarize_network("resnet18", 8, 2)
