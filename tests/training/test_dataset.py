"""Manifest -> tensors."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.arms import arm
from toolkit.errors import InputError
from toolkit.io import images, manifest
from toolkit.training import dataset, device


@pytest.fixture
def folder(tmp_path):
    return arm(tmp_path / "arm", {"a": 3, "b": 2})


def test_images_are_the_decoded_files_in_the_manifests_order(folder):
    data, table = dataset.load_tensors(folder), manifest.read_manifest(folder)
    assert data.images.dtype == torch.uint8
    assert data.images.shape == (5, 3, 32, 32)
    for image, sample in zip(data.images, table.samples, strict=True):
        assert np.array_equal(
            image.permute(1, 2, 0).numpy(), images.read_image(folder / sample.path)
        )


def test_labels_index_the_classes(folder):
    data = dataset.load_tensors(folder)
    assert (data.classes, data.labels.tolist(), data.size) == (("a", "b"), [0, 0, 0, 1, 1], 32)
    assert data.ids == tuple(sample.id for sample in manifest.read_manifest(folder).samples)


def test_derived_images_are_no_originals(folder, tmp_path):
    """An arm may point to its originals with ../ and holds its own images besides."""
    table = manifest.read_manifest(folder)
    originals = [replace(s, path=f"../arm/{s.path}", split="train") for s in table.samples]
    data = images.encode_png(np.zeros((32, 32, 3), np.uint8))
    sha = manifest.unique_ids([hashlib.sha256(data).hexdigest()])[0]
    parent = originals[-1]
    child = replace(parent, id=sha, path="new.png", parent=parent.id, transform="black")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "new.png").write_bytes(data)
    manifest.write_manifest(tmp_path / "more", manifest.Manifest(("a", "b"), (*originals, child)))
    loaded = dataset.load_tensors(tmp_path / "more")
    assert (len(loaded.ids), loaded.originals) == (6, 5)


def test_equal_files_are_both_loaded(folder):
    table = manifest.read_manifest(folder)
    (folder / "copy.png").write_bytes((folder / "a/000.png").read_bytes())
    twin = replace(table.samples[0], id=f"{table.samples[0].id}-2", path="copy.png")
    manifest.write_manifest(folder, replace(table, samples=(*table.samples, twin)))
    assert len(dataset.load_tensors(folder).ids) == 6


def test_changed_file_is_named(folder):
    (folder / "a/001.png").write_bytes((folder / "b/000.png").read_bytes())
    with pytest.raises(InputError, match=r"a/001\.png: changed since the manifest .*`dvc checkout"):
        dataset.load_tensors(folder)


def test_missing_file_is_named(folder):
    (folder / "a/001.png").unlink()
    with pytest.raises(InputError, match=r"a/001\.png: cannot be read \(No such file.*dvc repro"):
        dataset.load_tensors(folder)


def test_file_of_another_size_is_named(folder, tmp_path):
    larger = arm(tmp_path / "larger", {"a": 1, "b": 1}, size=48, seed=1)
    table, other = manifest.read_manifest(folder), manifest.read_manifest(larger)
    odd = replace(other.samples[1], path="../larger/b/000.png")
    manifest.write_manifest(folder, replace(table, samples=(*table.samples, odd)))
    with pytest.raises(InputError, match=r"000\.png: expected 32 x 32 pixels .* got 48 x 48"):
        dataset.load_tensors(folder)


def test_empty_manifest_is_refused(tmp_path):
    manifest.write_manifest(tmp_path, manifest.Manifest(("a", "b"), ()))
    with pytest.raises(InputError, match=r"manifest\.csv: no images"):
        dataset.load_tensors(tmp_path)


def test_grey_levels_become_minus_one_to_one():
    values = device.normalize(torch.tensor([0, 51, 204, 255], dtype=torch.uint8))
    assert values.dtype == torch.float32
    assert values.tolist() == pytest.approx([-1, -0.6, 0.6, 1])


def test_absent_classes_are_listed(folder):
    data = dataset.load_tensors(folder)
    assert dataset.missing_classes(data) == []
    assert dataset.missing_classes(replace(data, labels=torch.zeros(5, dtype=torch.int64))) == ["b"]
