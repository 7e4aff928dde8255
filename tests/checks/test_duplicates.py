"""Duplicates are found in whatever form, and different images are told apart."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audit_table, audits, planted
from toolkit.checks import hashing, neighbors
from toolkit.io import images

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "face-mask.zip"


@pytest.fixture(scope="module")
def faces():
    return audit_table.faces(120)


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 12, "b": 8, "c": 6})


def picture(path):
    return Image.fromarray(images.read_image(path))


# --- recall and false alarms ------------------------------------------------------------------


def test_95_percent_of_each_kind_of_copy_are_found(faces):
    recall = audit_table.recall(faces, range(60))
    assert {kind: share for kind, share in recall.items() if share < 0.95} == {}


def test_different_faces_are_not_duplicates(faces):
    pairs = len(faces) * (len(faces) - 1) / 2
    assert len(audit_table.near_duplicates(faces)) <= pairs / 1000


def test_copies_of_real_photos_are_found():
    if not PHOTOS.is_file():
        pytest.skip(f"{PHOTOS} is not there: real photos are not part of the project")
    pictures = []
    with zipfile.ZipFile(PHOTOS) as archive:
        for name in [n for n in sorted(archive.namelist()) if not n.endswith("/")][::40]:
            pictures.append(images.decode_picture(archive.read(name)))
            pictures[-1].thumbnail((256, 256))
    recall = audit_table.recall(pictures, range(len(pictures)))
    assert {kind: share for kind, share in recall.items() if share < 0.95} == {}
    assert len(audit_table.near_duplicates(pictures)) <= len(pictures) * (len(pictures) - 1) / 2000


def test_far_fewer_pairs_are_compared_than_there_are(faces):
    copies = np.stack([hashing.descriptor(face) for face in faces])
    tried = neighbors.find_pairs(copies.__getitem__, len(copies), 0.95).compared
    assert tried < len(faces) * (len(faces) - 1) / 2 / 50


# --- what follows -----------------------------------------------------------------------------


def test_equal_pixels_in_other_bytes_are_exact_duplicates(photos):
    picture(photos / "a" / "003.png").save(photos / "a" / "copy.bmp")
    (finding,) = audits.run(photos).findings
    assert (finding.check, finding.action) == ("exact_duplicates", "group")
    assert finding.paths == ("a/003.png", "a/copy.bmp")
    assert finding.message == "2 files have identical pixels"


def test_a_near_duplicate_set_holds_the_exact_duplicates_of_its_members(photos):
    shutil.copy(photos / "a" / "003.png", photos / "a" / "again.png")
    picture(photos / "a" / "003.png").save(photos / "a" / "near.jpg", quality=60)
    result = audits.run(photos)
    (near,) = result.findings_of("near_duplicates")
    assert near.paths == ("a/003.png", "a/again.png", "a/near.jpg")
    assert near.score == result.checks["near_duplicates"].score > 0.95
    assert result.findings_of("exact_duplicates")[0].paths == ("a/003.png", "a/again.png")


def test_duplicates_with_two_labels_are_a_conflict(photos):
    shutil.copy(photos / "a" / "000.png", photos / "b" / "same.png")
    picture(photos / "a" / "001.png").save(photos / "c" / "near.jpg", quality=60)
    conflicts = {
        f.message: (f.paths, f.action) for f in audits.run(photos).findings_of("conflicts")
    }
    assert conflicts == {
        "duplicates with 2 labels: a, b": (("a/000.png", "b/same.png"), "warn"),
        "near-duplicates with 2 labels: a, c": (("a/001.png", "c/near.jpg"), "warn"),
    }
    (same, near) = audits.run(photos, conflicts="drop").findings_of("conflicts")
    assert (same.drop, near.drop) == (same.samples, near.samples)


def test_near_duplicates_in_two_splits_are_a_leak(tmp_path):
    folder = audits.fill(tmp_path / "x", {"train/a": 5, "train/b": 5, "test/a": 3, "test/b": 3})
    picture(folder / "train/a/000.png").save(folder / "test/a/near.jpg", quality=60)
    (leak,) = audits.run(folder).findings_of("leaks")
    assert leak.paths == ("test/a/near.jpg", "train/a/000.png")
    assert leak.message == "near-duplicates in 2 splits: test, train"


def test_dropping_keeps_the_first_of_exact_and_the_largest_of_near_duplicates(photos):
    shutil.copy(photos / "a" / "000.png", photos / "a" / "zzz.png")
    picture(photos / "b" / "000.png").resize((96, 96)).save(photos / "b" / "large.png")
    result = audits.run(photos, exact_duplicates="drop", near_duplicates="drop")
    dropped = {ident for finding in result.findings for ident in finding.drop}
    kept = {ident for finding in result.findings for ident in finding.samples} - dropped
    paths = dict(pair for f in result.findings for pair in zip(f.samples, f.paths, strict=True))
    assert {paths[ident] for ident in kept} == {"a/000.png", "b/large.png"}


def test_dropping_never_chooses_between_labels(photos):
    shutil.copy(photos / "a" / "000.png", photos / "b" / "same.png")
    picture(photos / "a" / "001.png").save(photos / "c" / "near.jpg", quality=60)
    result = audits.run(photos, exact_duplicates="drop", near_duplicates="drop")
    assert result.dropped == set()
    assert [(f.check, f.action, f.paths) for f in result.findings if f.action != "warn"] == [
        ("exact_duplicates", "group", ("a/000.png", "b/same.png")),
        ("near_duplicates", "group", ("a/001.png", "c/near.jpg")),
    ]
    assert len(result.grouped) == 2


def test_flat_images_are_not_compared(photos):
    for k in range(4):
        Image.new("RGB", (48, 48), (90 + k, 90, 90)).save(photos / "a" / f"flat{k}.png")
    assert audits.run(photos).findings_of("near_duplicates") == []


def test_a_crowd_of_similar_images_is_not_grouped(tmp_path):
    folder = audits.fill(tmp_path / "photos", {"a": 30, "b": 30})
    rng = np.random.default_rng(7)
    part = audits.picture(rng).astype(float)
    for k in range(60):
        alike = (0.78 * part + 0.22 * audits.picture(rng)).astype(np.uint8)
        audits.put(folder / "ab"[k % 2] / f"part{k}.png", images.encode_png(alike))
    result = audits.run(folder)
    crowd = max(result.findings_of("near_duplicates"), key=lambda finding: len(finding.paths))
    assert (crowd.action, crowd.drop) == ("warn", ())
    assert len(crowd.paths) > 30
    assert "files are chained by pairs that look alike, but many pairs do not" in crowd.message
    assert all(len(finding.paths) < 10 for finding in result.findings_of("conflicts"))


def test_a_burst_of_one_scene_is_copies_however_large(tmp_path):
    """22 re-encodings among 162 files were a crowd, and parted over the splits."""
    folder = audits.fill(tmp_path / "x", {"train/a": 60, "train/b": 60, "test/a": 10, "test/b": 10})
    scene = picture(folder / "train/a/000.png")
    for k in range(22):
        place = folder / ("train/a", "test/a")[k % 2] / f"burst{k}.jpg"
        scene.save(place, quality=40 + 2 * k)
    result = audits.run(folder)
    (near,) = result.findings_of("near_duplicates")
    assert (near.action, len(near.paths)) == ("group", 23)
    (leak,) = result.findings_of("leaks")
    assert len(leak.paths) == 23


def test_other_pixels_with_the_same_descriptor_are_near_duplicates(photos):
    pixels = images.read_image(photos / "a" / "000.png").copy()
    pixels[0, 0] ^= 1
    (photos / "a" / "zzz.png").write_bytes(images.encode_png(pixels))
    (finding,) = audits.run(photos).findings_of("near_duplicates")
    assert (finding.paths, finding.score) == (("a/000.png", "a/zzz.png"), 1.0)


def test_what_a_whole_folder_shares_does_not_make_duplicates():
    """Faces that fill the frame, machine parts: only the remainder is compared."""
    rng = np.random.default_rng(0)
    part = audits.picture(rng).astype(float)
    pictures = [(0.8 * part + 0.2 * audits.picture(rng)).astype(np.uint8) for _ in range(420)]
    again = planted.COPIES["mirrored"](Image.fromarray(pictures[7]))
    copies = np.stack([hashing.descriptor(p) for p in (*map(Image.fromarray, pictures), again)])
    pairs = neighbors.find_pairs(copies.__getitem__, len(copies), 0.95)
    assert list(zip(pairs.first, pairs.second, strict=True)) == [(7, 420)]
    few = copies[:100]  # too few to know what is common
    assert len(neighbors.find_pairs(few.__getitem__, len(few), 0.95).first) > 100
