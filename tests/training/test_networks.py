"""Networks: a contract for each, torchvision's own as oracle, and pretrained weights."""

import hashlib

import pytest
import torch
import torchvision
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.helpers.arms import arm, settings, tensors
from toolkit.errors import InputError
from toolkit.training import networks, runs
from toolkit.training.networks import NETWORKS, build_network
from toolkit.training.params import Recipe
from toolkit.training.state import initial_state, training_job
from toolkit.training.train import train_one

RESIDUAL = ("resnet18", "resnet34", "resnet50")
PLAIN = tuple(f"{name}_plain" for name in RESIDUAL)


def pictures(n: int, size: int) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(size)) * 2 - 1


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_take_images_of_any_size_and_any_number_of_classes(name):
    """Shapes are found without computing anything."""
    for size, classes in ((32, 2), (48, 3), (224, 100)):
        with torch.device("meta"):
            network, x = build_network(name, classes), torch.empty(2, 3, size, size)
            heads = networks.output_heads(network.train()(x))
            assert {head.shape for head in heads} == {(2, classes)}
            assert network.eval()(x[:1]).shape == (1, classes)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_weight_gets_a_gradient_and_a_step_changes_the_output(name):
    """A branch that starts at zero may get a gradient of zero; a plain network has none such."""
    torch.manual_seed(0)
    network, x = build_network(name, 3), pictures(4, 32)
    before = network.eval()(x[:1])
    sum(h.square().sum() for h in networks.output_heads(network.train()(x))).backward()
    gradients = {key: p.grad for key, p in network.named_parameters()}
    assert [key for key, g in gradients.items() if g is None] == []
    assert name not in PLAIN or all(bool(g.any()) for g in gradients.values())
    torch.optim.SGD(network.parameters(), 0.01).step()
    assert not torch.equal(network.eval()(x[:1]), before)


# --- torchvision as oracle --------------------------------------------------------------------


@pytest.mark.parametrize("name", RESIDUAL)
def test_resnets_compute_what_torchvision_does(name):
    """Of torchvision's drawn weights, where no branch starts at zero and hides a difference."""
    theirs = torchvision.models.get_model(name, num_classes=3)
    ours = NETWORKS[name](3)
    ours.load_state_dict(theirs.state_dict())
    x = pictures(2, 32)
    assert torch.equal(ours.train()(x), theirs.train()(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_googlenet_computes_what_torchvision_does():
    """In training too, its auxiliary heads and dropout included."""
    ours = NETWORKS["googlenet"](3)
    theirs = torchvision.models.googlenet(num_classes=3, aux_logits=True, init_weights=False)
    ours.load_state_dict(theirs.state_dict())
    x, answers = pictures(2, 32), []
    for network in (ours, theirs):
        torch.manual_seed(0)
        answers.append([*network.train()(x), network.eval()(x)])
    assert len(answers[0]) == 4
    assert all(torch.equal(a, b) for a, b in zip(*answers, strict=True))


@pytest.mark.parametrize("name", ["googlenet", "vgg16_bn"])
def test_first_weights_are_torchvisions(name):
    """Bit for bit, of the same seed."""
    options = {"aux_logits": True, "init_weights": True} if name == "googlenet" else {}
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, num_classes=2, **options).state_dict()
    torch.manual_seed(0)
    ours = NETWORKS[name](2).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_googlenet_gives_the_deeper_auxiliary_head_before_the_shallower():
    network, outputs_of = NETWORKS["googlenet"](3).train(), {}
    for name in ("fc", "aux2", "aux1"):
        getattr(network, name).register_forward_hook(
            lambda _, __, output, name=name: outputs_of.update({name: output})
        )
    outputs = networks.output_heads(network(pictures(2, 32)))
    assert all(outputs[k] is outputs_of[name] for k, name in enumerate(("fc", "aux2", "aux1")))


# --- first weights ----------------------------------------------------------------------------


def test_googlenet_starts_from_narrow_normal_weights():
    for module in NETWORKS["googlenet"](3).modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("name", [*RESIDUAL, *PLAIN])
def test_resnets_start_from_kaiming_normal_convolutions(name):
    """Deviation: the square root of 2 / fan out."""
    for module in NETWORKS[name](3).modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            expected = pytest.approx((2 / fan_out) ** 0.5, rel=0.06)
            assert module.weight.std().item() == expected
            assert module.weight.mean().item() == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("name", [*RESIDUAL, *PLAIN])
def test_only_the_ends_of_residual_branches_start_at_zero(name):
    """All other batch norms start at scale 1, all of them at shift 0."""
    norms = {n: m for n, m in NETWORKS[name](3).named_modules() if isinstance(m, nn.BatchNorm2d)}
    end = "bn3" if "50" in name else "bn2"
    zero = {n for n in norms if n.startswith("layer") and n.endswith(end)}
    assert len(zero) == (8 if "18" in name else 16)
    for key, norm in norms.items():
        scale = 0 if name in RESIDUAL and key in zero else 1
        assert bool((norm.weight == scale).all())
        assert bool((norm.bias == 0).all())


# --- plain twins ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RESIDUAL)
def test_plain_networks_lack_only_the_shortcuts(name):
    plain, residual = NETWORKS[f"{name}_plain"](3), NETWORKS[name](3)
    shortcuts = {key for key in residual.state_dict() if "downsample" in key}
    assert set(residual.state_dict()) - set(plain.state_dict()) == shortcuts
    weights = sum(p.numel() for n, p in residual.named_parameters() if "downsample" in n)
    assert parameters(residual) - parameters(plain) == weights
    assert name != "resnet18" or weights == 173_824


@pytest.mark.parametrize("name", RESIDUAL)
def test_plain_blocks_are_the_residual_ones_with_the_addition_undone(name):
    """torchvision's block computes relu(branch + x): of x that is 0, relu(branch)."""
    plain, residual = (NETWORKS[n](3).layer1[1].eval() for n in (f"{name}_plain", name))
    residual.load_state_dict(plain.state_dict())
    for norm in (plain.bn1, residual.bn1):
        nn.init.constant_(norm.bias, 0.5)  # so that an input of zeros gives more than zeros
    zeros = torch.zeros(2, plain.conv1.in_channels, 8, 8)
    assert torch.equal(plain(zeros), residual(zeros))
    assert bool(plain(zeros).any())


# --- by name, and with another activation -----------------------------------------------------


@pytest.mark.parametrize("name", ["googlenet", "resnet50_plain", "vgg16_bn"])
def test_a_slope_reaches_every_activation(name):
    with torch.device("meta"):
        modules = list(build_network(name, 3, 0.2).modules())
    assert not any(isinstance(module, nn.ReLU) for module in modules)
    assert {m.negative_slope for m in modules if isinstance(m, nn.LeakyReLU)} == {0.2}


def test_googlenets_activations_are_all_modules():
    """57 convolutions and two auxiliary heads with one convolution and one layer each."""
    network = build_network("googlenet", 3, 0.1)
    assert sum(isinstance(m, nn.LeakyReLU) for m in network.modules()) == 57 + 2 * 2


def test_a_slope_of_one_makes_the_network_linear():
    """Halved inputs, halved outputs: batch norm in evaluation mode only scales and shifts."""
    network = build_network("resnet18_plain", 2, 1.0).eval()
    network.maxpool = nn.Identity()
    nn.init.zeros_(network.fc.bias)
    x = pictures(1, 32)
    torch.testing.assert_close(network(x / 2), network(x) / 2)


def test_a_slope_without_a_relu_is_refused():
    with pytest.raises(
        InputError, match=r"negative_slope must be 0: .*efficientnet_b0 has no ReLU"
    ):
        build_network("torchvision.efficientnet_b0", 2, 0.1)


def test_unknown_network_is_refused_with_the_names():
    with pytest.raises(
        InputError, match=r"one of \['efficientnet_lite0', 'googlenet', .*\], got 'resnet'"
    ):
        build_network("resnet", 2)


# --- pretrained weights -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Weights of a resnet18 for two classes."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    torch.manual_seed(9)
    save_file(networks.build_network("resnet18", 2).state_dict(), path)
    return path


def job(path, **recipe):
    weights = {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return training_job(settings(**{"network": "resnet18", "weights": weights} | recipe), "r", 0)


def test_the_same_classes_take_all_weights(file):
    state = initial_state(job(file), 2)
    ours, theirs = state.network.state_dict(), load_file(file)
    assert state.drawn == ()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_other_classes_get_a_head_drawn_from_the_seed(file):
    state = initial_state(job(file), 3)
    ours, theirs = state.network.state_dict(), load_file(file)
    fresh = initial_state(
        training_job(settings(network="resnet18"), "r", 0), 3
    ).network.state_dict()
    assert state.drawn == ("fc.weight", "fc.bias")
    assert torch.equal(ours["fc.weight"], fresh["fc.weight"])
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if n not in state.drawn)


def test_googlenet_has_a_main_and_two_auxiliary_heads():
    assert networks.head_weights("googlenet", 2) == [
        f"{head}.{kind}" for head in ("aux1.fc2", "aux2.fc2", "fc") for kind in ("weight", "bias")
    ]


def test_weights_of_another_network_are_refused_by_name(file):
    with pytest.raises(InputError, match=r"w\.safetensors: layer1\.2\.conv1\.weight .* none"):
        initial_state(job(file, network="resnet34"), 2)
    with pytest.raises(InputError, match=r"layer2\.0\.downsample\.0\.weight has .* needs none"):
        initial_state(job(file, network="resnet18_plain"), 2)


def test_another_shape_is_refused_with_both(file, tmp_path):
    weights = load_file(file) | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    save_file(weights, tmp_path / "gray.safetensors")
    wrong = r"train\.recipes\.r\.weights\.path: .*gray\.safetensors: conv1\.weight has the shape "
    wrong += r"\(64, 1, 7, 7\), resnet18 needs \(64, 3, 7, 7\)"
    with pytest.raises(InputError, match=wrong):
        initial_state(job(tmp_path / "gray.safetensors"), 2)


def test_another_file_than_the_one_meant_is_refused(file, tmp_path):
    meant = job(file)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(
        InputError, match=r"weights\.sha256 is not that of .*, which is [0-9a-f]{64}"
    ):
        initial_state(meant, 2)
    file.unlink()
    with pytest.raises(InputError, match=r"cannot be read .*relative to the working folder"):
        initial_state(meant, 2)
    (tmp_path / "text").write_text("weights")
    with pytest.raises(InputError, match="text: not a safetensors file"):
        initial_state(job(tmp_path / "text"), 2)


def test_a_run_is_fine_tuned_from_another(tmp_path):
    """From two classes to three: the run names the weights that were drawn, and is loaded again."""
    valid = arm(tmp_path / "valid", {"a": 2, "b": 2})
    wide = settings(network="resnet18", epochs=1)
    train_one(valid, valid, "r", wide, seed=0, output=tmp_path / "first")
    three = arm(tmp_path / "three", {"a": 2, "b": 2, "c": 2})
    tuned = job(tmp_path / "first" / runs.WEIGHTS, epochs=1, negative_slope=0.1).settings
    train_one(three, three, "r", tuned, seed=0, output=tmp_path / "second")
    run, network = runs.load_run(tmp_path / "second")
    assert run.drawn == ("fc.weight", "fc.bias")
    data = tensors(tmp_path / "again", {"a": 2, "b": 2, "c": 2})
    assert network(data.images.float()).shape == (6, 3)


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "resnet18_plain", "resnet50"])
def test_a_width_divides_the_channels_of_every_layer(name):
    whole, narrow = build_network(name, 3), build_network(name, 3, width=0.25)
    before, after = whole.state_dict(), narrow.state_dict()
    assert before.keys() == after.keys()
    for key, value in before.items():
        expected = [n if n == 3 else n // 4 for n in value.shape[:2]]
        assert list(after[key].shape) == [*expected, *value.shape[2:]], key
    heads = networks.output_heads(narrow.train()(pictures(2, 32)))
    assert {head.shape for head in heads} == {(2, 3)}


def test_narrow_weights_are_as_large_as_their_inputs_need():
    whole, narrow = build_network("resnet18", 2), build_network("resnet18", 2, width=0.25)
    ratio = narrow.layer4[1].conv1.weight.std() / whole.layer4[1].conv1.weight.std()
    assert ratio.item() == pytest.approx(2, rel=0.05)


def test_a_width_is_refused_where_there_is_none():
    with pytest.raises(InputError, match="width must be 1: vgg16_bn is no GoogLeNet or ResNet"):
        build_network("vgg16_bn", 2, width=0.5)
    with pytest.raises(ValidationError, match=r"one of 1, 0\.5, 0\.25, 0\.125, got 0\.3"):
        Recipe(network="resnet18", epochs=1, width=0.3)
    assert "width" not in Recipe(network="resnet18", epochs=1, width=1.0).model_dump()
