"""Pixels of a stranger's file come one way only: contained, and within the limits."""

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import toolkit
from tests.fuzz import worst
from tests.helpers.arms import trained
from toolkit.augmentation import preview
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.transforms.parsing import make_policy
from toolkit.datasets import folders, params, prepare
from toolkit.errors import InputError
from toolkit.io import images, manifest, samples
from toolkit.io.images import LIMITS, NamedImage
from toolkit.pipeline.steps.predict import image_files
from toolkit.reporting import gallery
from toolkit.training import dataset, inference, streaming

PACKAGE = Path(toolkit.__file__).parent
POLICY = make_policy("homework")
SLOW = "it took more than 0.2 seconds"


def test_only_one_module_opens_images():
    """Image.open, and whatever else of Pillow and others decodes a file, is in io/images.py."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name(id="Image"), attr="open"):
                    found.add((path.name, "Image.open"))
                case ast.ImportFrom(module="PIL.Image" | "PIL.ImageFile"):
                    found.add((path.name, "from PIL.Image"))
                case ast.Attribute(attr="imread" | "imdecode" | "_examine"):
                    found.add((path.name, node.attr))
    assert found == {("images.py", "Image.open")}


@pytest.fixture(scope="module")
def slow():
    """A JPEG of 100 kB whose thousand scans take many seconds."""
    return worst.scans(1500)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setitem(LIMITS.__dict__, "seconds", 0.2)


@pytest.fixture
def photos(tmp_path, slow):
    """A plain folder with the slow file among others."""
    for k, count in enumerate((8, 4)):
        folder = tmp_path / "photos" / "ab"[k]
        folder.mkdir(parents=True)
        for i in range(count):
            pixels = np.random.default_rng([k, i]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "photos" / "b" / "slow.jpg").write_bytes(slow)
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"))


def _prepared(photos):
    fractions = {"split": {"fractions": {"train": 0.5, "valid": 0.25, "test": 0.25}}}
    chosen = params.PrepareParams(size=16, seed=0, valid_fraction=0.2, **fractions)
    prepare.write_splits(folders.scan(photos), photos, photos.parent / "out", chosen)


def listed(photos):
    """Return the folder with a manifest: of one without, such a file is left out."""
    assert len(dataset.open_folder(photos).samples) == 12
    manifest.write_manifest(photos, folders.rescan(photos))
    return dataset.open_folder(photos)


WAYS = {
    "load": lambda photos: dataset.load_tensors(listed(photos), 16),
    "stream": lambda photos: list(
        streaming.open_stream(listed(photos), 16).take([torch.arange(13)])
    ),
    "preview": lambda photos: preview.write_preview(
        photos.parent / "x.png",
        photos,
        AugmentParams(target=12, classes=["b"]),
        make_policy("homework"),
    ),
    "prepare": _prepared,
    "sample": lambda photos: list(
        samples.map_samples(photos, folders.scan(photos).samples, images.decode)
    ),
    "sheet": lambda photos: gallery.inline_sheet(photos / "b" / "slow.jpg", ""),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_file_that_takes_too_long_is_named_and_refused(way, photos):
    with pytest.raises(InputError, match=f"b/slow.jpg.*{SLOW}"):
        WAYS[way](photos)


def test_a_prediction_goes_on_after_a_file_that_takes_too_long(run, photos):
    guesses = inference.predict_files(run, image_files(photos, print))
    problems = {guess.path.name: guess.problem for guess in guesses if guess.problem}
    assert problems == {"slow.jpg": SLOW}
    assert len(guesses) == 13


def test_a_link_swapped_in_after_listing_is_not_followed(run, photos):
    listed = image_files(photos, print)
    (photos / "a" / "0.png").unlink()
    (photos / "a" / "0.png").symlink_to(photos / "a" / "1.png")
    shutil.move(photos / "b", photos.parent / "elsewhere")
    (photos / "b").symlink_to(photos.parent / "elsewhere")
    guesses = inference.predict_files(run, listed)
    assert [g.path.parent.name for g in guesses if not g.problem] == ["a"] * 7
    assert all("symbolic link" in g.problem for g in guesses if g.problem)
    (link,) = inference.predict_files(run, [NamedImage(photos / "a" / "0.png")])
    assert not link.problem  # it was named
