"""Backbones, features and heads: their promises, against independent answers."""

import copy
import hashlib
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from sklearn.linear_model import LogisticRegression

from tests.helpers import arms, flips
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.training import dataset, networks
from toolkit.training.params import Recipe
from toolkit.training.pretrained import backbones, features, heads
from toolkit.training.pretrained.backbones import DEVIATION, MEAN
from toolkit.training.pretrained.efficientnet import EfficientNetLite0, SameConv2d
from toolkit.training.pretrained.features import Embedder
from toolkit.training.pretrained.heads import TrainingSet


@pytest.fixture(scope="module")
def backbone():
    return backbones.load_backbone()


def test_efficientnet_lite0_has_as_many_weights_as_published():
    with torch.device("meta"):
        network = EfficientNetLite0(1000)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 4.7


@pytest.mark.parametrize("side", [7, 8, 15, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_a_same_convolution_gives_an_output_for_each_stride(side, kernel, stride):
    conv = SameConv2d(3, 4, kernel, stride)
    rounded_up = -(-side // stride)
    assert conv(torch.zeros(1, 3, side, side)).shape == (1, 4, rounded_up, rounded_up)


def test_the_installed_weights_know_a_palace():
    from sklearn.datasets import load_sample_image

    network = EfficientNetLite0(1000)
    network.load_state_dict(backbones.lite0_weights())
    photo = (
        torch.from_numpy(load_sample_image("china.jpg")[:, 106:533].copy())
        .permute(2, 0, 1)[None]
        .float()
    )
    small = torch.nn.functional.interpolate(photo, (224, 224), mode="bilinear", antialias=True)
    logits = network.eval()(small / 127.5 - 1)
    assert 698 in logits[0].topk(3).indices  # palace, in ImageNet's order


def test_merging_batch_norms_changes_nothing_but_the_last_digits(backbone):
    plain = EfficientNetLite0(1000)
    plain.load_state_dict(backbones.lite0_weights())
    without_head = torch.nn.Sequential(plain.features, plain.avgpool, torch.nn.Flatten())
    images = torch.rand(2, 3, 96, 96) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(
            backbone.network(images), without_head.eval()(images), rtol=1e-3, atol=1e-3
        )


def test_changed_weights_are_refused(monkeypatch):
    monkeypatch.setattr(backbones, "LITE0_SHA256", hashlib.sha256(b"other").hexdigest())
    with pytest.raises(InputError, match="changed since it was published"):
        backbones.load_backbone()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "unknown backbone 'resnet'"),
        ("efficientnet_lite0.v2", "only one set of weights"),
        ("torchvision.nothing", r"backbone torchvision\.nothing"),
        ("torchvision.ResNet18_QuantizedWeights.IMAGENET1K_FBGEMM_V1", "not weights of a classif"),
        ("torchvision.FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1", "not weights of a classifier"),
        ("torchvision.resnet19=w.pth", "unknown .*'resnet19'"),
        ("torchvision.resnet18=w.pth", r"w\.pth: .*the path is relative to the working folder"),
    ],
)
def test_a_wrong_backbone_is_named_with_those_that_exist(name, message):
    with pytest.raises(InputError, match=message):
        backbones.load_backbone(name)


def test_weights_that_cannot_be_downloaded_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="connect once, or take efficientnet_lite0"):
        backbones.load_backbone("torchvision.ResNet18_Weights.IMAGENET1K_V1")


TINY = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def tiny():
    """A small network of torchvision for three classes."""
    return torchvision.models.get_model(TINY, weights=None, num_classes=3)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "wrapped.pth"])
def test_weights_on_disk_are_a_backbone(name, tiny, tmp_path):
    weights = tiny.state_dict()
    if name.endswith("safetensors"):
        safetensors.torch.save_file(weights, tmp_path / name)
    else:
        torch.save(
            {"epoch": 3, "state_dict": weights} if name == "wrapped.pth" else weights,
            tmp_path / name,
        )
    loaded = backbones.load_backbone(f"torchvision.{TINY}={tmp_path / name}")
    assert (loaded.dimensions, loaded.size) == (1024, 224)
    images = torch.rand(2, 3, 64, 64)
    mean, deviation = (torch.tensor(of)[:, None, None] for of in (MEAN, DEVIATION))
    body = copy.deepcopy(tiny).eval()
    body.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = body((images - mean) / deviation)
        torch.testing.assert_close(loaded.network(2 * images - 1), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_of_timm_on_disk_are_a_backbone(name, tmp_path):
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_resnet", num_classes=3).eval()
    save = safetensors.torch.save_file if name.endswith("safetensors") else torch.save
    save(network.state_dict(), tmp_path / name)
    loaded = backbones.load_backbone(f"timm.test_resnet={tmp_path / name}")
    assert (loaded.dimensions, loaded.size) == (96, 160)
    images = torch.rand(2, 3, 64, 64)
    of = network.pretrained_cfg
    mean, deviation = (torch.tensor(of[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        body = network.forward_head(
            network.forward_features((images - mean) / deviation), pre_logits=True
        )
        torch.testing.assert_close(loaded.network(2 * images - 1), body, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match=r"timm\.test_vit: .*not the weights of this network"):
        backbones.load_backbone(f"timm.test_vit={tmp_path / name}")


class Fixed(torch.nn.Module):
    """Takes images of one size alone, as vision transformers do."""

    def forward(self, x):
        assert x.shape[-1] == 16, "Wrong image height!"
        return x.mean(dim=(2, 3))


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path):
    folder = dataset.open_folder(arms.arm(tmp_path / "a", {"x": 2, "y": 2}))
    only = backbones.Backbone("only", Fixed(), 3, 16, "0" * 64, {})
    assert features.embed_folder(folder, Embedder(only, 16), tmp_path / "cache").shape == (4, 3)
    with pytest.raises(InputError, match=r"images of 32 pixels .Wrong image height!.; it is made"):
        features.embed_folder(folder, Embedder(only, 32), tmp_path / "cache")


class Harmful:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return print, ("harm",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Harmful(), "not weights alone, and no code of it is run; save its state dict"),
        ([1, 2], "holds no state dict"),
        ({"fc.bias": torch.zeros(3)}, "not the weights of this network"),
    ],
)
def test_a_file_that_is_no_state_dict_says_what_to_do(content, message, tmp_path, capsys):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        backbones.load_backbone(f"torchvision.{TINY}={tmp_path / 'w.pth'}")
    assert capsys.readouterr().out == ""


def test_a_damaged_file_is_called_damaged(tiny, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:1000])
    with pytest.raises(InputError, match=r"w\.pth: damaged"):
        backbones.load_backbone(f"torchvision.{TINY}={tmp_path / 'w.pth'}")


def test_a_recipe_takes_weights_that_torch_saved_by_their_sha256(tmp_path):
    network = networks.build_network("resnet18", 3)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    about = {"network": "resnet18", "epochs": 1}
    right = Recipe(**about, weights={"path": str(tmp_path / "w.pth"), "sha256": digest})
    other = networks.build_network("resnet18", 2)
    assert networks.load_pretrained(other, right, 2) == ("fc.weight", "fc.bias")
    assert torch.equal(other.conv1.weight, network.conv1.weight)
    wrong = Recipe(**about, weights={"path": str(tmp_path / "w.pth"), "sha256": "0" * 64})
    with pytest.raises(InputError, match=f"weights.sha256 is not that of .*{digest}"):
        networks.load_pretrained(other, wrong, 2)


def test_every_classifier_of_torchvision_is_found_by_its_weights():
    for name in backbones.torchvision_names():
        for weights in torchvision.models.get_model_weights(name):
            assert torchvision.models.get_weight(str(weights)) is weights


def test_without_timm_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="timm"):
        backbones.load_backbone("timm.resnet18")


def test_features_come_in_the_order_of_the_table_and_are_kept(tmp_path, backbone):
    folder = dataset.open_folder(arms.arm(tmp_path / "a", {"x": 3, "y": 18}))
    first = features.embed_folder(folder, Embedder(backbone, 32), tmp_path / "cache")
    again = features.embed_folder(folder, Embedder(backbone, 32), tmp_path / "cache")
    fresh = features.embed_folder(folder, Embedder(backbone, 32), tmp_path / "other")
    assert first.shape == (21, backbone.dimensions)
    assert first.tobytes() == again.tobytes() == fresh.tobytes()
    (pixels,) = dataset.decode_samples(folder, folder.samples[20:], 32)
    with torch.inference_mode():
        alone = backbone.network(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 127.5 - 1)
    np.testing.assert_allclose(first[20], alone[0].numpy(), rtol=1e-3, atol=1e-3)


def test_no_image_is_embedded_twice_and_none_depends_on_the_others(tmp_path, backbone):
    """Rows of other tables, copies, and batches of other images: the same bytes."""
    embedder, labels = Embedder(backbone, 32), []

    def track(items, label, total=None):
        labels.append((label, total))
        return items

    both = dataset.open_folder(arms.arm(tmp_path / "both", {"x": 3, "y": 18}))
    some = replace(both, table=replace(both.table, samples=both.samples[2:8]))
    copies = [replace(one, id=f"{one.id}-2", path=f"2/{one.path}") for one in both.samples[:3]]
    twice = replace(both, table=replace(both.table, samples=(*both.samples, *copies)))
    alone = features.embed_folder(some, embedder, None)
    features.embed_folder(some, embedder, tmp_path / "cache", track=track)
    whole = features.embed_folder(twice, embedder, tmp_path / "cache", track=track)
    assert whole.tobytes() == features.embed_folder(twice, embedder, None).tobytes()
    np.testing.assert_array_equal(whole[2:8], alone)
    np.testing.assert_array_equal(whole[21:], whole[:3])
    assert [total for _, total in labels] == [1, 1]  # 6 images, then the other 15
    tables = features.find_tables(tmp_path / "cache")
    features.embed_folder(both, embedder, None, tables=tables, track=track)
    assert len(labels) == 2


def test_features_that_were_changed_are_refused(tmp_path, backbone):
    folder = dataset.open_folder(arms.arm(tmp_path / "a", {"x": 2, "y": 2}))
    features.embed_folder(folder, Embedder(backbone, 32), tmp_path / "cache")
    for path in (tmp_path / "cache").glob("*/*/*.*"):
        whole = path.read_bytes()
        for data in flips.flipped(whole, 200):
            path.write_bytes(data)
            with pytest.raises(InputError, match="remove the folder"):
                features.embed_folder(folder, Embedder(backbone, 32), tmp_path / "cache")
        path.write_bytes(whole)


@pytest.mark.parametrize("listed", ["", "sha256\n\n\n\n\n", "x" * 200_000, "sha256\nother\n"])
def test_a_list_of_images_that_is_none_is_refused_whoever_sealed_it(listed, tmp_path, backbone):
    folder = dataset.open_folder(arms.arm(tmp_path / "a", {"x": 2, "y": 2}))
    embedder = Embedder(backbone, 32)
    place = features.keep_table(folder, embedder, tmp_path / "cache")
    (place / "images.csv").write_text(listed)
    side = files.read_sealed(place / "features.json")
    side["images.csv"] = files.sha256(place / "images.csv")
    files.write_sealed(place / "features.json", side)
    with pytest.raises(InputError, match="remove the folder"):
        features.embed_folder(folder, embedder, tmp_path / "cache")


# --- heads ------------------------------------------------------------------------------------


def two_classes(n=60, d=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 6 // 5  # five to one
    return rng.normal(size=(n, d)) + labels[:, None], labels


@pytest.mark.parametrize("classes", [2, 3])
def test_a_balanced_head_is_scikit_learns(classes):
    features, labels = two_classes()
    labels = labels + (np.arange(60) % 7 == 0) * (classes - 2)
    labels = np.minimum(labels, classes - 1)
    data = TrainingSet(features, labels, classes, balanced=True)
    head = heads.fit_head(data, np.arange(60), 0.01)
    weights = data.weights(np.arange(60))
    mean = np.average(features, axis=0, weights=weights)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    peer = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
    peer.fit((features - mean) / deviation, labels)
    expected = peer.predict_proba((features - mean) / deviation)
    np.testing.assert_allclose(head.scores(features), expected, atol=1e-4)


@pytest.mark.parametrize("balanced", [True, False])
def test_an_image_of_weight_2_counts_like_two(balanced):
    features, labels = two_classes()
    heavy = np.arange(0, 60, 4)
    once = TrainingSet(
        features,
        labels,
        2,
        balanced=balanced,
        sample_weights=np.where(np.arange(60) % 4, 5.0, 10.0),
    )
    rows = np.concatenate([np.arange(60), heavy])
    twice = TrainingSet(features[rows], labels[rows], 2, balanced=balanced)
    # scikit-learn's C goes with the number of images, which is 75 instead of 60
    one = heads.fit_head(once, np.arange(60), 0.01 * 75 / 60)
    other = heads.fit_head(twice, np.arange(75), 0.01)
    np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-4)


def test_a_new_image_has_the_weight_of_its_parent():
    features, labels = two_classes()
    of_all, parents = features[::-1], np.arange(60)[::-1]
    weights = np.linspace(0.5, 2, 60)
    both = TrainingSet(features, labels, 2, new=of_all, parents=parents, sample_weights=weights)
    alone = TrainingSet(features, labels, 2, sample_weights=weights)
    one, other = (
        heads.fit_head(both, np.arange(60), 0.01),
        heads.fit_head(alone, np.arange(60), 0.02),
    )
    np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-4)


def test_a_class_without_training_images_gets_no_probability():
    features, labels = two_classes()
    head = heads.fit_head(TrainingSet(features, labels, 3), np.arange(60), 0.01)
    scores = head.scores(features)
    assert scores.shape == (60, 3)
    assert scores[:, 2].max() < 1e-6


def test_an_image_has_no_part_in_its_own_score():
    features, labels = two_classes()
    folds = np.arange(60) // 12
    before = heads.cross_fit(TrainingSet(features, labels, 2), folds)
    planted = labels.copy()
    planted[:12] = 1 - planted[:12]  # a leak: the labels of fold 0 decide nothing about fold 0
    after = heads.cross_fit(TrainingSet(features, planted, 2), folds)
    np.testing.assert_array_equal(before[:12], after[:12])
    assert not np.array_equal(before[12:], after[12:])


def test_scores_of_all_folds_have_one_scale():
    """A threshold of other folds fits them: none chooses a penalty of its own."""
    features, labels = two_classes()
    noisy = features + 20 * np.random.default_rng(1).normal(size=features.shape)
    folds = np.arange(60) // 12
    data = TrainingSet(noisy, labels, 2)
    scores = heads.cross_fit(data, folds)
    for fold in range(5):
        head = heads.fit_head(data, np.flatnonzero(folds != fold), heads.STRENGTH)
        own = folds == fold
        np.testing.assert_array_equal(scores[own], head.scores(noisy[own]))


def test_a_new_image_is_used_only_where_its_parent_is():
    features, labels = two_classes()
    folds = np.arange(60) // 12
    of_first = np.full((1, 5), 50.0)
    data = TrainingSet(features, labels, 2, new=of_first, parents=np.array([0]))
    with_new = heads.cross_fit(data, folds)
    without = heads.cross_fit(TrainingSet(features, labels, 2), folds)
    np.testing.assert_array_equal(with_new[:12], without[:12])  # of the fold of its parent
    assert not np.array_equal(with_new[12:], without[12:])


def test_copies_weigh_a_class_as_its_number_of_images():
    _, labels = two_classes()
    data = TrainingSet(np.empty((60, 1)), labels, 2, copies=[50, 50])
    weights = data.weights(np.arange(60))
    assert weights[labels == 0].tolist() == [1.0] * 50
    assert weights[labels == 1].tolist() == [5.0] * 10
