"""The training loop: what it does is fixed by the seed, the recipe and the data."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from tests.helpers.arms import settings, tensors
from toolkit.datasets.faces import draw
from toolkit.errors import InputError
from toolkit.training import dataset, device, loop, networks, steps
from toolkit.training.checkpoints import CheckpointSchedule
from toolkit.training.runs import Epoch
from toolkit.training.state import TrainingPosition, initial_state, training_job


@pytest.fixture
def arm(tmp_path):
    return tensors(tmp_path / "arm", {"a": 6, "b": 3})


@pytest.fixture
def valid(tmp_path):
    return tensors(tmp_path / "valid", {"a": 3, "b": 2}, seed=1)


def job(seed=0, **recipe):
    return training_job(settings(**recipe), "r", seed)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def row(epoch=1, loss=0.5, accuracy=0.5, gmean=0.5):
    return Epoch(epoch, 0.0, loss, accuracy, gmean, 0.001)


@pytest.mark.parametrize(
    ("network", "precision"),
    [
        ("googlenet", "float32"),
        ("googlenet", "bfloat16"),
        ("resnet18", "float32"),
        ("torchvision.mobilenet_v3_small", "float32"),
    ],
)
def test_one_seed_gives_the_same_weights_bit_for_bit(arm, valid, network, precision):
    """GoogLeNet has dropout too; the caller's own random state plays no part."""
    one = job(network=network, epochs=1)
    one = replace(one, settings=one.settings.model_copy(update={"precision": precision}))
    torch.manual_seed(5)
    first = loop.fit(arm, valid, one)
    torch.manual_seed(6)
    second = loop.fit(arm, valid, one)
    assert same(first.weights, second.weights)
    assert first.history == second.history


def test_another_seed_gives_other_weights(arm, valid):
    assert not same(
        loop.fit(arm, valid, job(0, epochs=1)).weights,
        loop.fit(arm, valid, job(1, epochs=1)).weights,
    )


def test_a_longer_training_begins_with_the_shorter_one(arm, valid):
    short, long = (loop.fit(arm, valid, job(epochs=epochs)) for epochs in (1, 2))
    assert long.history[:1] == short.history


def test_it_learns_to_tell_dark_from_bright(arm, valid):
    result = loop.fit(
        arm, valid, job(network="resnet18", epochs=8, learning_rate=0.003, keep="gmean")
    )
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert result.best.valid_gmean > 0.8


def test_each_epoch_is_reported_as_it_ends_and_kept_in_the_history(arm, valid):
    reported = []
    result = loop.fit(arm, valid, job(epochs=3), reported.append)
    assert result.history == tuple(reported)
    assert [row.epoch for row in reported] == [1, 2, 3]
    assert all(row.learning_rate == 0.001 for row in reported)


def test_kept_weights_have_the_metrics_of_the_history(arm, valid):
    """Measured again here, from the kept weights, with the plain formula."""
    result = loop.fit(arm, valid, job(epochs=3))
    network = networks.build_network("resnet18", 2, width=0.125)
    network.load_state_dict(result.weights)
    logits = device.forward_batches(network, valid.images.split(4))
    assert cross_entropy(logits, valid.labels).item() == pytest.approx(result.best.valid_loss)
    right = (logits.argmax(1) == valid.labels).double()
    recalls = [right[valid.labels == k].mean().item() for k in (0, 1)]
    assert result.best.valid_accuracy == right.mean().item()
    assert result.best.valid_gmean == pytest.approx(math.sqrt(math.prod(recalls)))
    assert result.best.valid_loss == min(row.valid_loss for row in result.history)


@pytest.mark.parametrize("name", ["loss", "accuracy", "gmean"])
def test_the_first_of_equally_good_epochs_is_kept(name):
    assert not loop.is_better(name, row(2), row(1))


def test_lower_loss_and_higher_accuracy_or_gmean_are_better():
    assert loop.is_better("loss", row(loss=0.4), row())
    assert loop.is_better("accuracy", row(accuracy=0.6), row())
    assert loop.is_better("gmean", row(gmean=0.6), row())
    assert not loop.is_better("gmean", row(loss=0.1, gmean=0.4), row())


def test_epochs_of_equal_gmean_are_ranked_by_loss():
    assert loop.is_better("gmean", row(2, loss=0.4, gmean=0.0), row(1, loss=0.5, gmean=0.0))
    assert not loop.is_better("gmean", row(2, loss=0.6, gmean=0.0), row(1, loss=0.5, gmean=0.0))


def test_the_rate_falls_when_nothing_improves(arm, valid):
    """At a tiny rate accuracy does not change: the rate is halved each epoch, down to the floor."""
    plateau = {"watch": "accuracy", "patience": 0, "factor": 0.5, "floor": 4e-7}
    result = loop.fit(arm, valid, job(epochs=4, learning_rate=1e-6, plateau=plateau))
    rates = [row.learning_rate for row in result.history]
    assert rates == [1e-6, 1e-6, 5e-7, 4e-7]


def test_every_epoch_is_another_permutation():
    orders = [tuple(dataset.shuffled_rows(9, 9, 0, epoch).tolist()) for epoch in (1, 2, 3)]
    assert len(set(orders)) == 3
    assert all(sorted(order) == list(range(9)) for order in orders)


@pytest.mark.parametrize(("count", "take"), [(10, 4), (9, 9), (7, 5), (3, 8)])
def test_a_stream_of_rows_reaches_every_row_equally_often(count, take):
    epochs = range(1, 8 * count + 1)
    orders = [dataset.shuffled_rows(count, take, 0, epoch).tolist() for epoch in epochs]
    assert {len(rows) for rows in orders} == {take}
    counts = Counter(number for rows in orders for number in rows)
    assert [counts[number] for number in range(count)] == [8 * take] * count


def count_images(monkeypatch):
    """A list that gets how many images each call of the loss sees."""
    sizes, real = [], steps.loss

    def counted(outputs, labels, *weights):
        sizes.append(len(labels))
        return real(outputs, labels, *weights)

    monkeypatch.setattr(steps, "loss", counted)
    return sizes


def batch_sizes(monkeypatch, *arguments):
    """How many images each optimizer step saw, epoch after epoch."""
    sizes = count_images(monkeypatch)
    loop.fit(*arguments)
    return sizes


def test_matched_steps_are_those_of_the_originals(monkeypatch, arm, valid):
    """Nine images of which six are originals: two steps of four and two images, not three."""
    arm = replace(arm, originals=6)
    assert batch_sizes(monkeypatch, arm, valid, job(match_steps=True)) == [4, 2, 4, 2]


def test_a_last_batch_of_one_joins_the_one_before(monkeypatch, arm, valid):
    assert batch_sizes(monkeypatch, arm, valid, job(epochs=1)) == [4, 5]


def test_losses_of_heads_are_weighted_in_order():
    labels = torch.tensor([0, 1])
    heads = tuple(torch.tensor([[k, 0.0], [0.0, 0.0]]) for k in (1.0, 2.0, 3.0))
    losses = [cross_entropy(head, labels).item() for head in heads]
    expected = 0.7 * losses[0] + 0.2 * losses[1] + 0.1 * losses[2]
    assert steps.loss(heads, labels, (0.7, 0.2, 0.1)).item() == pytest.approx(expected)
    assert steps.loss(heads[0], labels, (0.7, 0.2, 0.1)).item() == pytest.approx(losses[0])


def test_the_loss_of_an_epoch_is_the_weighted_mean(monkeypatch, arm, valid):
    """Each batch gets the weights of its own images, also in parts."""
    own, real = [], steps.loss

    def noted(output, labels, heads, weights):
        own.append((labels, weights))
        each = torch.stack(
            [real(output[row][None], labels[row][None], heads) for row in range(len(labels))]
        )
        value = real(output, labels, heads, weights)
        assert value.item() == pytest.approx((each * weights).mean().item(), rel=1e-5)
        return value

    monkeypatch.setattr(steps, "loss", noted)
    loop.fit(
        replace(arm, weights=arm.labels * 0.75 + 0.75), valid, job(network="resnet18", epochs=1)
    )
    for labels, weights in own:
        assert torch.equal(weights, labels * 0.75 + 0.75)
    assert sum(len(labels) for labels, _ in own) == 9


def test_bfloat16_stays_near_float32(arm, valid):
    one = job(epochs=1)
    half = replace(one, settings=one.settings.model_copy(update={"precision": "bfloat16"}))
    exact, rough = loop.fit(arm, valid, one), loop.fit(arm, valid, half)
    assert rough.history[0].train_loss == pytest.approx(exact.history[0].train_loss, rel=0.1)
    assert {value.dtype for value in rough.weights.values()} == {torch.float32, torch.int64}


def test_a_loss_that_is_not_finite_ends_with_the_remedy(arm, valid):
    with pytest.raises(InputError, match=r"in epoch 1 .*lower train\.recipes\.r\.learning_rate"):
        loop.fit(arm, valid, job(learning_rate=1e38))


def test_a_class_without_images_is_named(arm, valid):
    lacking = replace(valid, labels=torch.zeros_like(valid.labels))
    with pytest.raises(InputError, match="valid has no image of class 'b'"):
        loop.fit(arm, lacking, job())
    with pytest.raises(InputError, match="the arm has no image of class 'b'"):
        loop.fit(replace(arm, labels=torch.zeros_like(arm.labels)), valid, job())


def test_arm_and_valid_must_agree(tmp_path, arm, valid):
    with pytest.raises(InputError, match=r"classes must be the same in both.*\['a', 'b'\].*'c'"):
        loop.fit(arm, replace(valid, classes=("a", "c")), job())
    larger = tensors(tmp_path / "larger", {"a": 1, "b": 1}, size=48)
    with pytest.raises(InputError, match=r"image size must be the same in both, got 32 .* 48"):
        loop.fit(arm, larger, job())


def test_a_batch_of_one_is_refused(arm, valid):
    with pytest.raises(InputError, match=r"train\.recipes\.r\.batch must be at least 2"):
        loop.fit(arm, valid, job(batch=1))


def test_unknown_names_are_refused_with_the_known_ones(arm, valid):
    with pytest.raises(InputError, match=r"one of train\.recipes, \['r'\], got 'x'"):
        training_job(settings(), "x", 0)
    with pytest.raises(
        InputError, match=r"train\.recipes\.r\.network must be one of .*'googlenet'"
    ):
        loop.fit(arm, valid, job(network="lenet"))


def test_images_stay_as_they_were(arm, valid):
    before = arm.images.clone()
    loop.fit(arm, valid, job(epochs=1))
    assert torch.equal(arm.images, before)


def test_gradients_of_parts_add_up_to_those_of_the_batch(arm):
    """In evaluation mode, where batch norm does not look at the batch."""
    images, labels, weights = arm.images, arm.labels, arm.labels + 0.5
    results = []
    for parts in (1, 3):
        state = initial_state(job(network="resnet18"), 2)
        state.network.eval()
        value = steps.train_step(state, images, labels, parts=parts, sample_weights=weights)
        gradients = torch.cat([p.grad.flatten() for p in state.network.parameters()])
        results.append((value.item(), gradients))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 9])
@pytest.mark.parametrize("parts", [2, 4, 32])
def test_parts_of_a_short_batch_have_two_images_at_least(monkeypatch, arm, count, parts):
    """In training mode: batch norm needs two, and the mean of no losses is NaN."""
    sizes = count_images(monkeypatch)
    state = initial_state(job(network="googlenet", width=0.125), 2)
    state.network.train()
    value = steps.train_step(state, arm.images[:count], arm.labels[:count], parts=parts)
    assert math.isfinite(value.item())
    assert all(bool(p.isfinite().all()) for p in state.network.parameters())
    assert (sum(sizes), len(sizes)) == (count, min(parts, count // 2))
    assert min(sizes) >= 2


class Syncs(TorchDispatchMode):
    """Counts where the host waits for a value of the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}
        self.count += func in waits
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", [{}, {"network": "googlenet", "clip_norm": 1.0}])
def test_the_device_is_waited_for_once_an_epoch(arm, recipe):
    """However many steps: a GPU would stand still at each `.item()`."""
    state = initial_state(job(batch=2, **recipe), 2)
    with Syncs() as syncs:
        loop.train_epoch(
            state, TrainingPosition.first(torch.device("cpu")), arm, CheckpointSchedule()
        )
    assert syncs.count == 1


@pytest.mark.parametrize(("network", "near"), [("resnet18", 1), ("googlenet", 5)])
def test_losses_of_the_first_steps_in_bfloat16_are_near(network, near):
    """Within 1e-3 and then 1e-2 of float32.

    GoogLeNet's second loss moves by 1e-2 in float32 too, if only the images are rounded.
    """
    faces = [draw.draw_face(draw.LABELS[k % 8 == 0], k, size=48, seed=0) for k in range(128)]
    images = dataset.stack_images(faces)
    labels = torch.tensor([int(k % 8 == 0) for k in range(128)])
    losses = []
    for precision in ("float32", "bfloat16"):
        params = settings(network=network).model_copy(update={"precision": precision})
        with device.reproducible(1, torch.device("cpu")):
            state = initial_state(training_job(params, "r", 1), 2)
            state.network.train()
            halves = zip(images.split(64), labels.split(64), strict=True)
            losses.append([steps.train_step(state, *half).item() for half in halves])
    assert losses[1][0] == pytest.approx(losses[0][0], abs=near * 1e-3)
    assert losses[1][1] == pytest.approx(losses[0][1], abs=near * 1e-2)
