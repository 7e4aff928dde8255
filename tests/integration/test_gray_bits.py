"""Twelve bits in files of sixteen: one scale for all pictures of a set, wherever they are used."""

import numpy as np
import pytest
from PIL import Image

import toolkit as tk
from tests.helpers.arms import settings
from toolkit.augmentation import explain
from toolkit.datasets import folders
from toolkit.io import images, manifest
from toolkit.io.images import ImageLimits, NamedImage, noted_bits
from toolkit.training import dataset, inference, runs, train


def write(folder, label, number, highest):
    """A ramp from black to `highest`, in a PNG of 16 bits."""
    ramp = np.linspace(0, highest, 256).astype(np.uint16).reshape(16, 16)
    path = folder / label / f"{number}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ramp).save(path)
    return path


@pytest.fixture
def photos(tmp_path):
    """Two classes, the brighter one up to 4,000 of 65,535, and a picture that is dark."""
    for number in range(6):
        write(tmp_path / "photos", "a", number, 4000 - number)
        write(tmp_path / "photos", "b", number, 2000 - number)
    write(tmp_path / "photos", "b", 9, 100)
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("highest", "bits"),
    [((200,), 8), ((4095, 300), 12), ((300, 4096), 14), ((300, 60000), None)],
)
def test_a_set_has_the_bits_that_its_brightest_picture_needs(tmp_path, highest, bits):
    for number, value in enumerate(highest):
        write(tmp_path, "a", number, value)
    (tmp_path / "b").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "b/1.png")
    notes = folders.scan(tmp_path).notes
    assert noted_bits(notes) == bits
    assert f"gray levels: {bits or 16} bits of 16 ({len(highest)})" in notes["read"]


def test_colors_of_sixteen_bits_are_said_once_with_their_number(tmp_path):
    for number in range(3):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / f"a/{number}.ppm").write_bytes(b"P6 1 1 65535\n" + bytes([*range(5), number]))
    write(tmp_path, "b", 1, 4095)
    read = folders.scan(tmp_path).notes["read"]
    assert read.endswith("gray levels: 12 bits of 16 (1); colors of 16 bits read as 8: 3")


def test_plain_photos_have_no_bits_and_no_word_of_them(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("RGB", (8, 8), "red" if label == "a" else "blue").save(tmp_path / label / "1.png")
    notes = folders.scan(tmp_path).notes
    assert "bits" not in notes
    assert "gray" not in notes["read"]


@pytest.mark.parametrize("bits", [0, -1, "12", None, [], 11, 64])
def test_bits_that_a_strangers_manifest_makes_up_are_ignored(bits):
    assert noted_bits({"bits": bits}) is None


def test_bits_that_are_set_are_kept():
    assert ImageLimits().scaled(12).bits == 12
    assert ImageLimits(bits=16).scaled(12).bits == 16
    assert ImageLimits().scaled(None).bits is None


def test_a_dark_picture_of_a_set_stays_dark_beside_the_others(photos, tmp_path):
    raw = tk.fetch(tmp_path / "raw", source={"source": "folder", "path": str(photos)})
    assert noted_bits(raw.notes) == 12
    audited = tk.audit(tmp_path / "raw", work=tmp_path / "work", output=tmp_path / "audit.json")
    assert "12 bits of 16 (13)" in audited.read
    fractions = {"valid_fraction": 0.2, "test_fraction": 0.2}
    tk.prepare(tmp_path / "raw", tmp_path / "prepared", size=16, **fractions)
    brightest = {images.read_image(path).max() for path in (tmp_path / "prepared").rglob("b/*.png")}
    assert min(brightest) == 6
    assert max(brightest) in range(123, 126)
    assert manifest.read_manifest(tmp_path / "prepared/train").notes["bits"] == 12


def test_new_images_have_the_scale_and_can_be_made_again(photos, tmp_path):
    arm = tmp_path / "arm"
    tk.augment(photos, output=arm, target=9, policy="duplicate", seed=0)
    table = manifest.read_manifest(arm)
    assert noted_bits(table.notes) == 12
    new = [sample for sample in table.samples if sample.parent and sample.label == "a"]
    assert {images.read_image(arm / sample.path).max() for sample in new} <= {248, 249, 250}
    place = arm / new[0].path
    assert explain.render_again(explain.trace_image(place)) == place.read_bytes()


def test_a_run_reads_all_pictures_by_the_bits_of_what_it_was_trained_on(photos, tmp_path):
    arm = dataset.open_folder(photos)
    assert arm.bits == 12
    pixels = next(dataset.decode_samples(arm, [arm.samples[0]], 16))
    assert pixels.max() == 249
    assert arm.scaled(None).bits is None
    assert arm.scaled(None).sha256 != arm.sha256
    valid = tmp_path / "valid"
    for label in "ab":
        write(valid, label, 1, 200)
    train.train_one(photos, valid, "r", settings(epochs=1), seed=0, output=tmp_path / "run")
    assert runs.read_run(tmp_path / "run").bits == 12
    (guess,) = inference.predict_files(tmp_path / "run", [NamedImage(photos / "a/0.png")])
    labeled = inference.predict_folder(tmp_path / "run", photos)
    row = labeled.scores[[s.path for s in arm.samples].index("a/0.png")]
    assert np.allclose(guess.scores, row, atol=1e-6)
