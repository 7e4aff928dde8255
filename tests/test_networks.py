"""Networks: a contract for each, and torchvision's own as oracle."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from toolkit import networks
from toolkit.errors import InputError
from toolkit.networks import NETWORKS


@pytest.fixture(params=sorted(NETWORKS))
def network(request) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[request.param](3)


def pictures(n: int, size: int) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(size)) * 2 - 1


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("size", [32, 64, 128, 224])
def test_takes_images_of_any_size(network, size):
    for head in networks.heads(network.train()(pictures(2, size))):
        assert head.shape == (2, 3)
    assert network.eval()(pictures(1, size)).shape == (1, 3)


def test_every_weight_gets_a_gradient(network):
    """A branch that starts at zero may get a gradient of zero, but never none."""
    sum(head.square().sum() for head in networks.heads(network(pictures(4, 32)))).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_one_seed_gives_one_network(name):
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(NETWORKS[name](2).parameters())

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_googlenet_computes_what_torchvision_does():
    ours = NETWORKS["googlenet"](3)
    theirs = torchvision.models.googlenet(
        weights=None, num_classes=3, aux_logits=True, init_weights=False
    )
    theirs.load_state_dict(ours.state_dict())
    x = pictures(2, 64)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_googlenet_gives_the_deeper_auxiliary_head_before_the_shallower():
    network, seen = NETWORKS["googlenet"](3).train(), {}
    for name in ("fc", "aux2", "aux1"):
        getattr(network, name).register_forward_hook(
            lambda _, __, output, name=name: seen.update({name: output})
        )
    outputs = networks.heads(network(pictures(2, 32)))
    assert all(outputs[k] is seen[name] for k, name in enumerate(("fc", "aux2", "aux1")))


def test_googlenet_starts_from_narrow_normal_weights():
    for module in NETWORKS["googlenet"](3).modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_resnet18_computes_what_torchvision_does():
    ours, theirs = NETWORKS["resnet18"](3), torchvision.models.resnet18(num_classes=3)
    for p in ours.parameters():
        nn.init.normal_(p, std=0.05)  # zero-started branches would hide a difference
    theirs.load_state_dict(ours.state_dict())
    x = pictures(2, 64)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_resnet18_starts_as_published():
    network = NETWORKS["resnet18"](3)
    ends = [m.bn2 for m in network.modules() if hasattr(m, "bn2")]
    assert len(ends) == 8
    assert all(bool((bn.weight == 0).all()) for bn in ends)
    assert bool((network.bn1.weight == 1).all())
    kaiming = (2 / (64 * 9)) ** 0.5  # fan out of a 3 x 3 convolution to 64 channels
    assert network.layer1[0].conv1.weight.std().item() == pytest.approx(kaiming, rel=0.05)


def test_plain_network_lacks_just_the_shortcuts():
    plain, residual = NETWORKS["resnet18_plain"](3), NETWORKS["resnet18"](3)
    shortcuts = {name for name in residual.state_dict() if "downsample" in name}
    assert parameters(residual) - parameters(plain) == 173_824
    assert set(residual.state_dict()) - set(plain.state_dict()) == shortcuts


def test_plain_network_is_resnet18_with_its_additions_taken_out():
    """torchvision's block computes relu(branch + x): with x taken off, it is the plain block."""
    plain, residual = NETWORKS["resnet18_plain"](3).eval(), NETWORKS["resnet18"](3).eval()
    residual.load_state_dict(plain.state_dict(), strict=False)
    ours, theirs, x = plain.layer1[0], residual.layer1[0], torch.rand(2, 64, 8, 8)
    branch = theirs.bn2(theirs.conv2(theirs.relu(theirs.bn1(theirs.conv1(x)))))
    assert torch.equal(ours(x), branch.relu())


def test_every_plain_weight_can_learn_from_the_start():
    network = NETWORKS["resnet18_plain"](3)
    network(pictures(4, 32)).square().sum().backward()
    assert [n for n, p in network.named_parameters() if not p.grad.any()] == []


def test_unknown_network_is_refused_with_the_names():
    with pytest.raises(InputError, match=r"one of \['googlenet', 'resnet18', .*\], got 'resnet'"):
        networks.build("resnet", 2)
