"""A run's network applied to images: predictions, and Grad-CAM heatmaps."""

import math
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tests.helpers.arms import arm, trained
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.io.images import NamedImage, read_image
from toolkit.metrics import mistakes
from toolkit.metrics.mistakes import HardExample
from toolkit.training import dataset, inference, runs
from toolkit.training.device import normalize
from toolkit.training.networks import NETWORKS

# --- predictions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, with its valid split beside it."""
    return trained(tmp_path_factory.mktemp("run"))


def named(paths):
    return [NamedImage(path) for path in paths]


@pytest.fixture
def test_split(tmp_path):
    return arm(tmp_path / "test", {"a": 4, "b": 5}, seed=2)


def test_there_is_a_row_for_each_image_in_the_manifests_order(run, test_split):
    predictions = inference.predict_folder(run, test_split)
    table = manifest.read_manifest(test_split)
    assert predictions.ids == tuple(sample.id for sample in table.samples)
    assert predictions.actual == tuple(sample.label for sample in table.samples)
    assert set(predictions.predicted) <= {"a", "b"}


def test_scores_are_probabilities_and_the_highest_is_predicted(run, test_split):
    predictions = inference.predict_folder(run, test_split)
    scores = predictions.scores
    assert (scores.dtype, scores.shape) == (np.float64, (9, 2))
    assert np.allclose(scores.sum(axis=1), 1, rtol=0, atol=1e-15)
    assert predictions.predicted == tuple("ab"[row.argmax()] for row in scores)


def test_predictions_are_the_same_bits_each_time(run, test_split):
    first, second = (inference.predict_folder(run, test_split).scores for _ in range(2))
    assert np.array_equal(first, second)


def test_scores_on_valid_give_the_loss_of_the_best_epoch(run):
    """The loss in the history, computed here from the scores."""
    valid = inference.predict_folder(run, run.parent / "valid")
    scores = [valid.scores[k]["ab".index(name)] for k, name in enumerate(valid.actual)]
    assert -np.log(scores).mean() == pytest.approx(runs.read_run(run).best.valid_loss, rel=1e-6)


def test_other_classes_are_refused(run, tmp_path):
    other = arm(tmp_path / "other", {"a": 1, "c": 1})
    with pytest.raises(InputError, match=r"other: the classes must be .*\['a', 'b'\], got c;"):
        inference.predict_folder(run, other)


def test_a_folder_may_lack_a_class(run, tmp_path):
    rare = inference.predict_folder(run, arm(tmp_path / "rare", {"b": 2}))
    assert (rare.classes, rare.actual) == (("a", "b"), ("b", "b"))


def test_a_plain_folder_of_many_sizes_is_predicted_as_its_files_are(run, tmp_path):
    for number, shape in enumerate([(32, 32), (100, 40), (64, 64)]):
        (tmp_path / "b").mkdir(exist_ok=True)
        Image.new("RGB", shape, (60 * number, 20, 200)).save(tmp_path / "b" / f"{number}.jpg")
    (tmp_path / "b" / "notes.txt").write_text("text")
    lines = []
    (applied,) = inference.apply_runs([run], dataset.open_folder(tmp_path, say=lines.append))
    folder = applied.predictions
    files = inference.predict_files(run, named(sorted(tmp_path.glob("b/*.jpg"))))
    assert np.array_equal(folder.scores, [guess.scores for guess in files])
    assert ["b/notes.txt" in line for line in lines] == [False, True]
    chosen = [HardExample("mistake", folder.ids[1], "b", "a", "b", 0.5)]
    (example,) = inference.explain_examples(applied, chosen)
    assert (example.path, example.photo.shape) == ("b/1.jpg", (32, 32, 3))


def test_examples_are_explained_in_their_order(run, test_split):
    (applied,) = inference.apply_runs([run], dataset.open_folder(test_split))
    choices = mistakes.choose_examples(applied.predictions, "b")
    explained = inference.explain_examples(applied, choices)
    table = manifest.read_manifest(test_split)
    assert tuple(item.example for item in explained) == choices
    for item in explained:
        assert item.path == table.by_id[item.example.id].path
        assert np.array_equal(item.photo, read_image(test_split / item.path))
        assert (item.heatmap.dtype, item.heatmap.shape) == (np.float32, (32, 32))


def test_an_explanation_is_for_the_label_of_its_example(run, test_split):
    """The map of each class, against the one computed from the network itself."""
    sample = manifest.read_manifest(test_split).samples[0]
    choices = [HardExample("mistake", sample.id, "a", "b", label, 0.5) for label in "ab"]
    (applied,) = inference.apply_runs([run], dataset.open_folder(test_split))
    explained = inference.explain_examples(applied, choices)
    images = dataset.stack_images([read_image(test_split / sample.path)] * 2)
    expected = inference.heatmaps(runs.load_run(run)[1], images, [0, 1])
    assert np.array_equal([item.heatmap for item in explained], expected)


def test_of_a_folder_only_a_few_batches_are_in_memory(run, tmp_path, monkeypatch):
    """So that one which does not fit can be evaluated: of 60 images, four batches of up to 16."""
    folder, alive, real = arm(tmp_path / "many", {"a": 30, "b": 30}), [0], dataset.stack_images
    most = []

    def stack(pixels):
        images = real(pixels)
        count = len(images)
        alive[0] += count
        most.append(alive[0])
        weakref.finalize(images, lambda: alive.append(alive.pop() - count))
        return images

    monkeypatch.setattr(dataset, "stack_images", stack)
    assert len(inference.predict_folder(run, folder).ids) == 60
    assert (len(most), max(most) <= 48) == (4, True)


def test_no_examples_no_explanations(run, test_split):
    (applied,) = inference.apply_runs([run], dataset.open_folder(test_split))
    assert inference.explain_examples(applied, ()) == ()


def test_several_runs_decode_the_images_once_and_predict_as_each_alone(
    run, test_split, monkeypatch
):
    decoded, real = [], dataset.load_tensors

    def load(*arguments):
        decoded.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(dataset, "load_tensors", load)
    alone = inference.predict_folder(run, test_split)
    several = [
        each.predictions
        for each in inference.apply_runs([run, run], dataset.open_folder(test_split))
    ]
    assert len(decoded) == 1
    assert all(np.array_equal(each.scores, alone.scores) for each in several)


def test_files_get_the_scores_of_their_folder(run, test_split):
    paths = [test_split / sample.path for sample in manifest.read_manifest(test_split).samples]
    guesses = inference.predict_files(run, named(paths))
    predictions = inference.predict_folder(run, test_split)
    assert [guess.path for guess in guesses] == paths
    assert tuple(guess.predicted for guess in guesses) == predictions.predicted
    assert np.array_equal([guess.scores for guess in guesses], predictions.scores)


def test_files_of_any_size_and_format(run, tmp_path):
    Image.new("L", (100, 40), 200).save(tmp_path / "gray.jpg")
    (guess,) = inference.predict_files(run, named([tmp_path / "gray.jpg"]))
    assert guess.predicted in ("a", "b")
    assert math.fsum(guess.scores) == pytest.approx(1)


def test_an_unreadable_file_does_not_stop_the_others(run, test_split, tmp_path):
    (tmp_path / "bad.png").write_text("<!DOCTYPE html>")
    good = test_split / "a/000.png"
    paths = [tmp_path / "bad.png", good, tmp_path / "none.png"]
    bad, fine, none = inference.predict_files(run, named(paths))
    assert "not an image" in bad.problem
    assert "there is no such file" in none.problem
    assert (bad.predicted, bad.scores) == ("", ())
    assert fine.problem == ""
    assert fine.predicted


def test_no_files_no_guesses(run):
    assert inference.predict_files(run, []) == []


# --- Grad-CAM ---------------------------------------------------------------------------------


class Corners(nn.Module):
    """Class 0 is how bright the upper left quarter is, class 1 the lower right one."""

    def __init__(self):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2, 2, bias=False)
        self.fc.weight.data = torch.eye(2)

    def forward(self, x: Tensor) -> Tensor:
        gray, mask = x.mean(dim=1).add(1), torch.zeros(2, *x.shape[2:])
        half = x.shape[2] // 2
        mask[0, :half, :half] = mask[1, half:, half:] = 1
        return self.fc(self.avgpool(gray[:, None] * mask).flatten(1))


def pictures(n, size):
    generator = torch.Generator().manual_seed(size)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


ONE_LAYER = sorted(name for name in NETWORKS if name.startswith(("googlenet", "resnet")))


@pytest.fixture(params=sorted(NETWORKS))
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param](3)


def test_the_heatmap_of_a_class_is_the_corner_that_it_depends_on():
    white = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
    first, second = inference.heatmaps(Corners(), white, [0, 1])
    expected = np.zeros((8, 8), np.float32)
    expected[:4, :4] = 1
    assert np.array_equal(first, expected)
    assert np.array_equal(second, expected[::-1, ::-1])


def test_without_evidence_for_the_class_the_heatmap_is_zero():
    network = Corners()
    network.fc.weight.data = torch.tensor([[-1.0, 0], [0, 0]])
    assert not inference.heatmaps(network, pictures(1, 8), [0]).any()


def test_a_class_that_has_zeros_in_the_head_has_the_evidence_against_the_other():
    """As the first of two classes of a frozen network: its own logit has no gradient at all."""
    network, white = Corners(), torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    network.fc.weight.data = torch.tensor([[0.0, 0], [-1, 1]])
    first, second = (inference.heatmaps(network, white, [label])[0] for label in (0, 1))
    assert first[:4, :4].all()
    assert second[4:, 4:].all()
    assert first.sum() == second.sum() == 16


@pytest.mark.parametrize("network", ONE_LAYER, indirect=True)
def test_with_pooling_and_one_layer_it_is_the_class_activation_map(network):
    """Zhou and others, 2016: features weighted by the last layer, less its mean over classes."""
    images, labels = pictures(3, 96), [2, 0, 1]
    features = []
    network.avgpool.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    with torch.no_grad():
        network.eval()(normalize(images))
        weights = network.fc.weight[labels] - network.fc.weight.mean(dim=0)
        coarse = torch.einsum("nkhw,nk->nhw", features[0], weights).relu()
        full = interpolate(coarse[:, None], (96, 96), mode="bilinear", align_corners=False)[:, 0]
    expected = (full / full.amax(dim=(1, 2), keepdim=True).clamp(1e-30)).numpy()
    assert np.allclose(inference.heatmaps(network, images, labels), expected, atol=1e-4)


@pytest.mark.parametrize("size", [32, 48])
def test_heatmaps_have_the_images_size_and_values_from_0_to_1(network, size):
    maps = inference.heatmaps(network, pictures(17, size), np.arange(17) % 3)
    assert (maps.dtype, maps.shape) == (np.float32, (17, size, size))
    assert set(maps.max(axis=(1, 2))) <= {0.0, 1.0}
    assert maps.min() >= 0


def test_heatmaps_are_the_same_each_time_and_leave_the_network_unchanged(network):
    images = pictures(2, 64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = (inference.heatmaps(network, images, [0, 1]) for _ in range(2))
    assert np.array_equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert not network.avgpool._forward_pre_hooks
    assert torch.is_grad_enabled()
