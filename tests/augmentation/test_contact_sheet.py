"""The contact sheet: a row a parent, and captions that a person understands."""

import hashlib

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from toolkit.augmentation import contact_sheet
from toolkit.io import images
from toolkit.io.manifest import Manifest, Sample, unique_ids


def child(transform, parent="a0", **params):
    return Sample("c", "c.png", "a", parent=parent, transform=transform, params=params, seed=1)


@pytest.fixture
def families(tmp_path):
    """Classes a and b, three parents each; every parent has two children. Flat colors."""
    samples = []
    for label, color in (("a", 40), ("b", 200)):
        data = images.encode_png(np.full((20, 30, 3), color, np.uint8))
        ids = iter(unique_ids([hashlib.sha256(data).hexdigest()] * 9))
        for number in range(3):
            parent = Sample(next(ids), f"{label}{number}.png", label)
            new = {"parent": parent.id, "transform": "rotate", "params": {"angle": 1.0}, "seed": 1}
            children = [Sample(next(ids), f"{label}{number}{c}.png", label, **new) for c in "xy"]
            for sample in (parent, *children):
                (tmp_path / sample.path).write_bytes(data)
                samples.append(sample)
    return Manifest(("a", "b"), tuple(samples)), tmp_path


def sheet(manifest, folder):
    contact_sheet.write_sheet(folder / "sheet.png", manifest, folder)
    return images.read_image(folder / "sheet.png")


def test_there_is_a_row_for_each_parent_and_a_column_for_each_child(families):
    assert sheet(*families).shape == (6 * (96 + 10 + 26) + 10, 3 * (96 + 10) + 20, 3)


def test_classes_take_turns(families):
    """The first row shows class a (dark), the second class b (light)."""
    pixels = sheet(*families)
    first, second = 10 + 48, 10 + 132 + 48
    assert (pixels[first, 58] == 40).all()
    assert (pixels[second, 58] == 200).all()


def test_only_the_first_parents_of_each_class_are_shown(families, monkeypatch):
    monkeypatch.setattr(contact_sheet, "PARENTS", 3)
    monkeypatch.setattr(contact_sheet, "CHILDREN", 1)
    rows = contact_sheet._families(families[0])
    assert [[sample.path for sample in row] for row in rows] == [
        ["a0.png", "a0x.png"], ["b0.png", "b0x.png"], ["a1.png", "a1x.png"],
    ]  # fmt: skip


def test_the_same_manifest_gives_the_same_sheet(families):
    assert np.array_equal(sheet(*families), sheet(*families))


def test_a_manifest_without_children_gives_a_blank_sheet(families):
    manifest, folder = families
    alone = Manifest(("a",), manifest.samples[:1])
    assert (sheet(alone, folder) == 255).all()


@pytest.mark.parametrize(
    ("sample", "caption"),
    [
        (Sample("a0", "a.png", "with_mask"), ("with_mask", "original")),
        (child("rotate", angle=-12.345678), ("rotate", "-12.3°")),
        (child("gaussian_blur", sigma=1.234567), ("gaussian blur", "sigma 1.23")),
        (child("resized_crop", left=1, top=2, width=90, height=88), ("resized crop", "90 x 88")),
        (child("horizontal_flip", applied=True), ("horizontal flip", "")),
        (child("horizontal_flip", applied=False), ("horizontal flip", "not applied")),
        (child("sharpness", applied=True, factor=1.25), ("sharpness", "factor 1.25")),
        (
            child("albumentations.Affine", arguments={"p": 1}, seed=3, sampled={"rotate": 3.21234}),
            ("affine", "rotate 3.21"),
        ),
        (
            child(
                "some_of",
                steps=[
                    {"transform": "shear_x", "params": {"slope": 0.1}},
                    {"transform": "equalize", "params": {}},
                    {"transform": "rotate", "params": {"angle": -3}},
                ],
            ),
            ("shear x, equalize, rotate", "slope 0.1, -3.0°"),
        ),
        (child("mix", original=0.4321, chains=[]), ("mix", "original 0.432")),
        (
            child("torchvision.RandAugment", arguments={}, seed=3, sampled={}),
            ("rand augment", ""),
        ),
        (
            child(
                "albumentations.RandomGamma", sampled={"kernel": [1, 2], "on": True, "gamma": 0.9}
            ),
            ("gamma", "gamma 0.9"),
        ),
    ],
)
def test_captions_name_the_transform_and_its_main_number(sample, caption):
    assert contact_sheet.make_caption(sample) == caption


def test_a_long_name_is_cut_to_the_tile():
    pen = ImageDraw.Draw(Image.new("RGB", (9, 9)))
    font = ImageFont.load_default(11)
    cut = contact_sheet._shorten("RandomBrightnessContrastAndMore")
    assert cut.startswith("RandomBr")
    assert cut.endswith("...")
    assert pen.textlength(cut, font) <= 96
