"""Folders of labeled images -> tensors."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.arms import arm, load
from toolkit.datasets import folders, prepare
from toolkit.datasets.params import PrepareParams
from toolkit.errors import InputError
from toolkit.io import images, manifest
from toolkit.training import dataset, device


@pytest.fixture
def folder(tmp_path):
    return arm(tmp_path / "arm", {"a": 3, "b": 2})


def photos(path, sizes, label="a", seed=0):
    """A plain folder <class>/file with an image of noise of each size (width, height)."""
    rng = np.random.default_rng(seed)
    (path / label).mkdir(parents=True)
    for number, (width, height) in enumerate(sizes):
        pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path / label / f"{number}.jpg", quality=90)
    return path


# --- with a manifest --------------------------------------------------------------------------


def test_images_are_the_decoded_files_in_the_manifests_order(folder):
    data, table = load(folder), manifest.read_manifest(folder)
    assert data.images.dtype == torch.uint8
    assert data.images.shape == (5, 3, 32, 32)
    for image, sample in zip(data.images, table.samples, strict=True):
        assert np.array_equal(
            image.permute(1, 2, 0).numpy(), images.read_image(folder / sample.path)
        )


def test_labels_index_the_classes(folder):
    data = load(folder)
    assert (data.classes, data.labels.tolist(), data.size) == (("a", "b"), [0, 0, 0, 1, 1], 32)


def test_derived_images_are_no_originals(folder, tmp_path):
    """An arm may point to its originals with ../ and hold its own images besides."""
    table = manifest.read_manifest(folder)
    originals = [replace(s, path=f"../arm/{s.path}", split="train") for s in table.samples]
    data = images.encode_png(np.zeros((32, 32, 3), np.uint8))
    sha = manifest.unique_ids([hashlib.sha256(data).hexdigest()])[0]
    parent = originals[-1]
    child = replace(parent, id=sha, path="new.png", parent=parent.id, transform="black")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "new.png").write_bytes(data)
    manifest.write_manifest(tmp_path / "more", manifest.Manifest(("a", "b"), (*originals, child)))
    loaded = load(tmp_path / "more")
    assert (len(loaded.labels), loaded.originals) == (6, 5)


def test_equal_files_are_both_loaded(folder):
    table = manifest.read_manifest(folder)
    (folder / "copy.png").write_bytes((folder / "a/000.png").read_bytes())
    twin = replace(table.samples[0], id=f"{table.samples[0].id}-2", path="copy.png")
    manifest.write_manifest(folder, replace(table, samples=(*table.samples, twin)))
    assert len(load(folder).labels) == 6


def test_a_changed_file_is_named(folder):
    (folder / "a/001.png").write_bytes((folder / "b/000.png").read_bytes())
    with pytest.raises(InputError, match=r"a/001\.png: changed since the manifest .*`dvc checkout"):
        load(folder)


def test_a_missing_file_is_named(folder):
    (folder / "a/001.png").unlink()
    with pytest.raises(InputError, match=r"a/001\.png: cannot be read \(there is no .*dvc repro"):
        load(folder)


def test_an_empty_manifest_is_refused(tmp_path):
    manifest.write_manifest(tmp_path, manifest.Manifest(("a", "b"), ()))
    with pytest.raises(InputError, match="no images; expected <class>/file, at least one"):
        dataset.open_folder(tmp_path)


def test_half_a_manifest_is_refused(folder):
    """Without its table an arm would be taken for the few images that lie in it."""
    (folder / manifest.TABLE).unlink()
    with pytest.raises(InputError, match=r"manifest\.csv: no such file"):
        dataset.open_folder(folder)


# --- plain folders ----------------------------------------------------------------------------


def test_a_folder_without_a_manifest_is_scanned(folder):
    with_manifest = load(folder)
    for name in (manifest.TABLE, manifest.SIDECAR):
        (folder / name).unlink()
    without = load(folder)
    assert torch.equal(without.images, with_manifest.images)
    assert (without.classes, without.originals) == (("a", "b"), 5)


def test_images_of_many_sizes_are_those_of_prepare(tmp_path):
    """Bit for bit: a plain folder needs no `toolkit prepare`."""
    raw = photos(tmp_path / "raw", [(90, 60), (300, 500), (40, 40)])
    splits = ("train", "valid", "test")
    settings = PrepareParams(size=32, split={"counts": dict.fromkeys(splits, 1)})
    prepare.write_splits(folders.scan(raw), raw, tmp_path / "prepared", settings)
    prepared = torch.cat([load(tmp_path / "prepared" / split).images for split in splits])
    assert sorted(load(raw).images.tolist()) == sorted(prepared.tolist())


def test_files_that_are_no_images_are_left_out_with_a_message(tmp_path):
    photos(tmp_path, [(32, 32)] * 2)
    (tmp_path / "a" / "notes.txt").write_text("text")
    lines = []
    assert len(dataset.open_folder(tmp_path, say=lines.append).samples) == 2
    assert len(lines) == 2
    assert lines[0].endswith(": 1 class (a), 2 images; not used: not an image (1)")
    assert "1 file is not used, of 3: not an image (1); the first is a/notes.txt" in lines[1]


def test_a_folder_of_links_says_why_it_is_empty(tmp_path):
    photos(tmp_path / "photos", [(32, 32)])
    (tmp_path / "links" / "a").mkdir(parents=True)
    (tmp_path / "links" / "a" / "0.jpg").symlink_to(tmp_path / "photos" / "a" / "0.jpg")
    with pytest.raises(InputError, match=r"links: no images; .*a/0\.jpg: a symbolic link"):
        dataset.open_folder(tmp_path / "links")


def test_a_folder_of_splits_is_refused_with_what_to_name(tmp_path):
    for split in ("train", "val"):
        photos(tmp_path / split, [(32, 32)])
    with pytest.raises(InputError, match=r"holds several splits; give .*/train or .*/val"):
        dataset.open_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="none: no such folder"):
        dataset.open_folder(tmp_path / "none")


def test_the_hash_of_a_folder_is_that_of_its_images(folder, tmp_path):
    before = dataset.open_folder(folder).sha256
    assert dataset.open_folder(shutil.copytree(folder, tmp_path / "copy")).sha256 == before
    other = arm(tmp_path / "other", {"a": 3, "b": 2}, seed=1)
    assert dataset.open_folder(other).sha256 != before


@pytest.mark.parametrize(
    ("arm_sizes", "valid_sizes", "size"),
    [
        ([(48, 48)] * 3, [(48, 48)], 48),  # one size: the images' own
        ([(20, 20)] * 3, [(20, 20)], 20),
        ([(48, 48)] * 3, [(64, 64)], 48),  # else the arm's
        ([(48, 60)] * 3, [(48, 60)], 48),
        ([(60, 90), (90, 70), (200, 300)], [(48, 48)], 64),  # shorter sides 60, 70, 200
        ([(4000, 3000), (3000, 4000)], [(48, 48)], 128),
        ([(20, 30), (9, 12)], [(48, 48)], 32),
    ],
)
def test_the_size_fits_the_images(tmp_path, arm_sizes, valid_sizes, size):
    opened = [
        dataset.open_folder(photos(tmp_path / name, sizes, seed=seed))
        for seed, (name, sizes) in enumerate((("arm", arm_sizes), ("valid", valid_sizes)))
    ]
    lines = []
    assert dataset.choose_size(*opened, say=lines.append) == size
    assert bool(lines) == (
        len({*arm_sizes, *valid_sizes}) > 1 or arm_sizes[0][0] != arm_sizes[0][1]
    )
    assert all(f"resized to {size} x {size} pixels" in line for line in lines)


# --- values and batches -----------------------------------------------------------------------


def test_gray_levels_become_minus_one_to_one():
    values = device.normalize(torch.tensor([0, 51, 204, 255], dtype=torch.uint8))
    assert values.dtype == torch.float32
    assert values.tolist() == pytest.approx([-1, -0.6, 0.6, 1])


def test_classes_are_counted_with_those_that_have_no_images(folder):
    data = load(folder)
    assert dataset.class_counts(data) == {"a": 3, "b": 2}
    assert dataset.class_counts(replace(data, labels=torch.zeros(5, dtype=torch.int64))) == {
        "a": 5,
        "b": 0,
    }
