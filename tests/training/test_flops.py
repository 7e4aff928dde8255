"""Parameters and FLOPs of networks, with torchvision's own figures as oracle."""

import pytest
import torchvision

from toolkit.errors import InputError
from toolkit.training import flops
from toolkit.training.networks import NETWORKS


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
    with pytest.raises(InputError, match="size must be greater than or equal to 16, got 8"):
        flops.summarize_network("resnet18", 8, 2)
    with pytest.raises(InputError, match="vgg16_bn needs images of 32 px or more, got 16"):
        flops.summarize_network("vgg16_bn", 16, 2)
    with pytest.raises(InputError, match="classes must be greater than or equal to 2, got 1"):
        flops.summarize_network("resnet18", 16, 1)


def test_the_table_leaves_out_networks_that_need_larger_images():
    assert "vgg16_bn" not in {name for name, *_ in flops.network_table(16, 2)}
    assert {name for name, *_ in flops.network_table(32, 2)} == {"network", *NETWORKS}
