"""Grad-CAM: a network that looks at one corner, and class activation maps as oracle."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from toolkit.training import inference
from toolkit.training.device import normalize
from toolkit.training.networks import NETWORKS


class Corners(nn.Module):
    """Class 0 is how bright the upper left quarter is, class 1 the lower right one."""

    def __init__(self):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2, 2, bias=False)
        self.fc.weight.data = torch.eye(2)

    def forward(self, x: Tensor) -> Tensor:
        grey, mask = x.mean(dim=1).add(1), torch.zeros(2, *x.shape[2:])
        half = x.shape[2] // 2
        mask[0, :half, :half] = mask[1, half:, half:] = 1
        return self.fc(self.avgpool(grey[:, None] * mask).flatten(1))


def pictures(n, size):
    generator = torch.Generator().manual_seed(size)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


ONE_LAYER = sorted(name for name in NETWORKS if name.startswith(("googlenet", "resnet")))


@pytest.fixture(params=sorted(NETWORKS))
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param](3)


def test_a_class_lights_the_corner_that_it_looks_at():
    white = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
    first, second = inference.heatmaps(Corners(), white, [0, 1])
    expected = np.zeros((8, 8), np.float32)
    expected[:4, :4] = 1
    assert np.array_equal(first, expected)
    assert np.array_equal(second, expected[::-1, ::-1])


def test_where_nothing_speaks_for_the_class_the_map_is_zero():
    network = Corners()
    network.fc.weight.data = -torch.eye(2)
    assert not inference.heatmaps(network, pictures(1, 8), [0]).any()


@pytest.mark.parametrize("network", ONE_LAYER, indirect=True)
def test_with_pooling_and_one_layer_it_is_the_class_activation_map(network):
    """Zhou and others, 2016: features weighted by the last layer, without any gradient."""
    images, labels = pictures(3, 96), [2, 0, 1]
    kept = []
    network.avgpool.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    with torch.no_grad():
        network.eval()(normalize(images))
        coarse = torch.einsum("nkhw,nk->nhw", kept[0], network.fc.weight[labels]).relu()
        full = interpolate(coarse[:, None], (96, 96), mode="bilinear", align_corners=False)[:, 0]
    expected = (full / full.amax(dim=(1, 2), keepdim=True).clamp(1e-30)).numpy()
    assert np.allclose(inference.heatmaps(network, images, labels), expected, atol=1e-4)


@pytest.mark.parametrize("size", [32, 48])
def test_maps_are_shares_of_the_images_size_for_any_number_of_images(network, size):
    maps = inference.heatmaps(network, pictures(17, size), np.arange(17) % 3)
    assert (maps.dtype, maps.shape) == (np.float32, (17, size, size))
    assert set(maps.max(axis=(1, 2))) <= {0.0, 1.0}
    assert maps.min() >= 0


def test_it_repeats_itself_and_leaves_no_trace(network):
    images = pictures(2, 64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = (inference.heatmaps(network, images, [0, 1]) for _ in range(2))
    assert np.array_equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert not network.avgpool._forward_pre_hooks
    assert torch.is_grad_enabled()
