"""A frozen network with a fitted head is a run like any other."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

import toolkit as tk
from tests.helpers import arms
from toolkit.errors import InputError, StoppedError
from toolkit.evaluation import verdict
from toolkit.io import files
from toolkit.io.manifest import Manifest, Sample
from toolkit.training import dataset, inference, runs, state
from toolkit.training.params import Recipe, TrainParams
from toolkit.training.pretrained import backbones, features, frozen, heads
from toolkit.training.pretrained.features import Embedder
from toolkit.training.train import TrainingOptions, train_seeds

BACKBONE = backbones.Backbone("none", torch.nn.Identity(), 8, 32, "", {})
RECIPE = {"network": "efficientnet_lite0", "frozen": True, "epochs": 3, "size": 32}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("frozen")
    counts = {"a": 12, "b": 5}
    return [arms.arm(place / name, counts, seed=seed) for seed, name in enumerate(("arm", "valid"))]


def train(folders, output, **more):
    how = {"threads": 1, "precision": "float32"} | more
    return tk.train(
        folders[0], valid=folders[1], recipes={"r": RECIPE}, recipe="r", output=output, **how
    )


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """Images in folds, two arms of them, and a run of each in each division, in `place`/models."""
    place = tmp_path_factory.mktemp("crossed")
    photos = arms.arm(place / "photos", {"a": 14, "b": 6})
    (photos / "manifest.csv").unlink()
    (photos / "manifest.json").unlink()
    tk.prepare(photos, place / "data", size=32, split={"folds": 3, "repeats": 2})
    plain, new = place / "data" / "train", place / "new"
    tk.augment(plain, new, only_new=True)
    for arm in (plain, new):
        for seed in (0, 1):
            output = place / "models" / f"{arm.name}-{seed}"
            train((arm, place / "data" / "valid"), output, seed=seed)
    return place


def kept_in(weights: dict[int, dict[str, Tensor]]):
    """A function that keeps the weights of folds there, in place of files."""

    def save(fold, of_fold):
        weights[fold] = dict(of_fold)
        return ""

    return save


def test_all_but_the_last_layer_are_imagenets(folders, tmp_path):
    run = train(folders, tmp_path / "run")
    _, network = runs.load_run(run.folder)
    ours, published = network.state_dict(), backbones.lite0_weights()
    assert all(ours[name].equal(value) for name, value in published.items() if "fc." not in name)
    assert ours["fc.weight"].shape == (2, 1280)
    assert len(run.history) == 3


def test_predictions_are_those_of_the_head_on_the_features(folders, tmp_path):
    run = train(folders, tmp_path / "run")
    _, network = runs.load_run(run.folder)
    folder = dataset.open_folder(folders[1])
    values = features.embed_folder(folder, Embedder(backbones.load_backbone(), 32), tmp_path / "c")
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    logits = values @ weights["fc.weight"].T + weights["fc.bias"]
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    scores = tk.predict(run, folders[1], raw=True).required_scores("a test")
    np.testing.assert_allclose(scores[:, 1], expected, atol=1e-3)


def test_the_same_images_give_the_same_bytes_whatever_the_seed(folders, tmp_path):
    one, other = (
        train(folders, tmp_path / str(seed), seed=seed).folder / runs.WEIGHTS for seed in (0, 7)
    )
    assert one.read_bytes() == other.read_bytes()


def test_seeds_share_the_features(folders, tmp_path):
    recipe = Recipe(network="efficientnet_lite0", frozen=True, epochs=3, size=32)
    settings, labels = TrainParams(threads=1, precision="float32", recipes={"r": recipe}), []

    def track(items, label, total=None):
        labels.append(label)
        return items

    outputs, how = {seed: tmp_path / str(seed) for seed in (0, 7)}, TrainingOptions(track=track)
    several = train_seeds(*folders, "r", settings, outputs=outputs, options=how)
    assert [label for label in labels if label.startswith("embed")] == ["embed arm", "embed valid"]
    alone = train(folders, tmp_path / "alone", seed=7)
    assert several[1].weights_sha256 == alone.weights_sha256
    for name in (runs.WEIGHTS, runs.VALID, runs.HISTORY):
        assert (tmp_path / "7" / name).read_bytes() == (alone.folder / name).read_bytes()


@pytest.mark.parametrize(
    ("network", "pooled"),
    [("torchvision.shufflenet_v2_x0_5", False), ("torchvision.regnet_y_400mf", True)],
)
def test_any_backbone_can_be_trained_taken_away_and_explained(
    folders, tmp_path, monkeypatch, network, pooled
):
    monkeypatch.chdir(tmp_path)
    body = torchvision.models.get_model(network.split(".")[1], weights=None, num_classes=7)
    torch.save(body.state_dict(), "w.pth")
    weights = {"path": "w.pth", "sha256": files.sha256(Path("w.pth"))}
    recipe = {"network": network, "frozen": True, "epochs": 1, "size": 32, "weights": weights}
    how = {"valid": folders[1], "recipe": "r", "threads": 1}
    run = tk.train(folders[0], recipes={"r": recipe}, output="run", **how)
    Path("w.pth").unlink()  # the run has all that it needs
    measured = tk.evaluate(run, test=folders[0], output="out", resamples=200)
    assert measured.metrics["accuracy"] > 0
    _, network_alone = runs.load_run(run.folder)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert inference.heatmaps(network_alone, pixels, [0, 1]).any() == pooled
    assert inference.pooled_features(network_alone, pixels).shape[0] == 2
    folder = dataset.open_folder(folders[1])
    of_network = inference.classify(run, network_alone, dataset.load_tensors(folder, 32).images)
    of_features = tk.predict(run, folders[1], raw=True).required_scores("a test")
    np.testing.assert_allclose(of_network, of_features, atol=1e-4)


def test_a_backbone_without_weights_is_refused_by_the_recipes_key(folders, tmp_path):
    recipe = {"network": "torchvision.resnet18", "frozen": True, "epochs": 1, "size": 32}
    with pytest.raises(InputError, match=r"train\.recipes\.r: backbone .*: names no weights"):
        tk.train(folders[0], valid=folders[1], recipes={"r": recipe}, recipe="r", output=tmp_path)


def test_the_recommended_recipe_trains_on_plain_folders(folders, tmp_path):
    run = tk.train(folders[0], valid=folders[1], output=tmp_path / "run", threads=1)
    assert run.settings.frozen
    assert run.size == 192
    assert run.complete


def test_a_signal_stops_it_before_the_next_batch_and_leaves_nothing(
    folders, tmp_path, tmp_path_factory, monkeypatch
):
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))  # where no features are kept

    def track(items, label, total=None):
        if label.startswith("embed"):
            signal.raise_signal(signal.SIGTERM)
        return items

    with pytest.raises(StoppedError, match="the same command starts again") as caught:
        train(folders, tmp_path / "run", track=track)
    assert caught.value.number == signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_a_cross_fitted_run_predicts_each_image_without_its_fold(crossed):
    table = dataset.open_folder(crossed / "new").table
    for seed in (0, 1):
        run = runs.read_run(crossed / "models" / f"new-{seed}")
        held_out = runs.read_valid(run)
        originals = [sample for sample in table.samples if not sample.derived]
        assert held_out.ids == tuple(sample.id for sample in originals)
        assert held_out.folds.tolist() == [sample.folds[seed] for sample in originals]
        assert run.counts == {"a": 14, "b": 14}
        folder = dataset.open_folder(crossed / "data" / "train")
        embedder = Embedder(backbones.load_backbone(), 32)
        values = features.embed_folder(folder, embedder, crossed / "c")
        for fold in range(3):
            weights = runs.load_fold(run, fold).state_dict()
            logits = values @ weights["fc.weight"].numpy().T + weights["fc.bias"].numpy()
            scores = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
            own = held_out.folds == fold
            np.testing.assert_allclose(held_out.scores[own, 1], scores[own], atol=1e-3)


def test_what_an_image_is_decides_nothing_that_scores_it(crossed):
    """Other features and new images of one fold: only the other folds' networks are others."""
    folder = dataset.open_folder(crossed / "new")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(folder.samples), 8))
    settings = arms.settings(**RECIPE)
    job = state.TrainingJob("r", settings.recipes["r"], settings, 0)
    before, after = dict[int, dict[str, Tensor]](), dict[int, dict[str, Tensor]]()
    frozen.cross_fit_frozen(values, BACKBONE, folder, 0, job, kept_in(before))
    folds = np.array([sample.folds[0] for sample in folder.samples])
    changed = np.where((folds == 1)[:, None], rng.normal(size=values.shape), values)
    frozen.cross_fit_frozen(changed, BACKBONE, folder, 0, job, kept_in(after))
    assert before[1]["fc.weight"].equal(after[1]["fc.weight"])
    assert not before[0]["fc.weight"].equal(after[0]["fc.weight"])


def test_networks_of_folds_and_of_all_images_have_one_penalty(crossed):
    folder = dataset.open_folder(crossed / "data" / "train")
    values = np.random.default_rng(0).normal(size=(len(folder.samples), 8))
    settings, last_layers = arms.settings(**RECIPE), {}
    job = state.TrainingJob("r", settings.recipes["r"], settings, 0)
    fit = frozen.cross_fit_frozen(values, BACKBONE, folder, 0, job, kept_in(last_layers))
    assert fit.result.best == fit.result.history[0]
    data = heads.TrainingSet(values, folder.labels.numpy(), 2, balanced=True)
    folds = np.array([sample.folds[0] for sample in folder.samples])
    rows = {fold: np.flatnonzero(folds != fold) for fold in range(3)} | {None: np.arange(20)}
    for fold, weights in (last_layers | {None: fit.result.weights}).items():
        expected = heads.fit_head(data, rows[fold], heads.STRENGTH).coefficients
        np.testing.assert_allclose(weights["fc.weight"], expected, rtol=1e-4, atol=1e-6)


def test_all_images_are_tested_and_compared(crossed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a report shows what it finds of a project
    data = crossed / "data"
    for run in sorted((crossed / "models").iterdir()):
        output = tmp_path / run.name
        measured = tk.evaluate(run, test=data / "test", output=output, positive="b", resamples=200)
        assert "the other folds" in " ".join(measured.notes)
        assert (output / "predictions.csv").read_text().splitlines()[0].endswith(",fold")
        assert not (output / "valid_predictions.csv").exists()
    compared = tk.compare([tmp_path], baseline="train", resamples=200)
    assert compared.test_images == {"a": 14, "b": 6}
    assert [estimate.seeds for estimate in compared.estimates] == [(0, 1), (0, 1)]
    assert compared.leaderboard[0].rare == 6
    assert not compared.warnings
    learned = [run.learning for run in map(runs.read_run, sorted((crossed / "models").iterdir()))]
    assert [len(curve) for curve in learned] == [0, 0, 3, 3]  # of the arm without new images
    means = np.mean([[gmean for _, gmean in curve] for curve in learned[2:]], axis=0)
    curve = compared.learning["r"]
    assert list(curve) == [2, 3, 6, 12]
    assert list(curve.values())[:3] == pytest.approx(means)
    assert "6 -> 12 images of 'b' would bring" in " ".join(verdict.comparison_notes(compared))
    assert (
        'class="curve"'
        in tk.report(tmp_path / "i.html", runs=tmp_path, resamples=200).path.read_text()
    )
    assert tk.predict(crossed / "models" / "new-0", crossed / "photos").predicted


def test_cross_fitting_again_gives_the_same_bytes(crossed, tmp_path):
    data = crossed / "data"
    train((data / "train", data / "valid"), tmp_path / "again", seed=1)
    first = crossed / "models" / "train-1"
    for path in (p for p in first.rglob("*") if p.is_file() and p.parent.name != "dvclive"):
        assert (tmp_path / "again" / path.relative_to(first)).read_bytes() == path.read_bytes()


def test_a_cross_fitted_run_is_taken_away_with_its_folds(crossed, tmp_path):
    run, output = crossed / "models" / "new-0", tmp_path / "report"
    tk.evaluate(run, test=crossed / "data" / "test", output=output, positive="b", resamples=200)
    tk.push(run, output=tmp_path / "card", evaluation=output)
    card = (tmp_path / "card" / "README.md").read_text()
    assert "On 20 test images, each by a network that was trained without its fold" in card
    assert "cross-fitted in 3 folds" in card
    assert runs.load_fold(runs.read_run(tmp_path / "card"), 2)
    with pytest.raises(InputError, match="not an evaluation of this run"):
        tk.push(crossed / "models" / "new-1", output=tmp_path / "x", evaluation=output)


def test_other_images_than_those_in_folds_are_refused(crossed, folders):
    with pytest.raises(InputError, match=r"are not those that .* was cross-fitted on"):
        tk.evaluate(crossed / "models" / "new-0", test=folders[0])


def test_heads_of_folds_weigh_images_by_the_manifest():
    job = state.training_job(TrainParams(recipes={"r": Recipe(**RECIPE)}), "r", 0)
    results, features = [], np.random.default_rng(0).normal(size=(24, 4))
    for heavy in (1.0, 9.0):
        samples = tuple(
            Sample(
                f"{n}",
                f"a/{n}",
                "ab"[n % 2],
                "train",
                folds=(n // 2 % 2,),
                weight=heavy if n > 17 else 1.0,
            )
            for n in range(24)
        )
        folder = dataset.LabeledFolder(Path(), Manifest(("a", "b"), samples))
        crossed = frozen.cross_fit_frozen(features, BACKBONE, folder, 0, job, kept_in({}))
        results.append(crossed.held_out)
        arm = dataset.Tensors(folder.labels, folder.labels, ("a", "b"), 24, folder.weights)
        fitted = frozen.fit_frozen(arm, arm, [features, features], BACKBONE, job)
        results.append(fitted.weights["fc.weight"].numpy())
    assert not np.allclose(results[0], results[2], atol=1e-3)
    assert not np.allclose(results[1], results[3], atol=1e-3)


def test_a_leak_is_refused():
    data = heads.TrainingSet(np.eye(4), np.array([0, 1, 0, 1]), 2)
    folds = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="fold 1 is trained on what it is tested on"):
        heads.fit_without(data, folds, {0: np.array([2, 3]), 1: np.array([0, 1, 2])})
