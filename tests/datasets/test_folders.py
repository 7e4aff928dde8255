"""Folders as people have them: what becomes a sample, what is reported, what is skipped."""

import hashlib
import os
from pathlib import PurePosixPath

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.datasets import folders
from toolkit.datasets.params import ReadParams
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.io.images import LIMITS, decode, encode_png
from toolkit.io.system.below import LINK

RED = encode_png(decode(b"P6 1 1 255 " + bytes((255, 0, 0))))


def make_files(root, *paths, data=RED):
    """A folder with these files, every image of other bytes."""
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data + bytes([number]))
    return root


def places(root):
    """{path: (split, label)}."""
    return {s.path: (s.split, s.label) for s in folders.scan(root).samples}


def test_classes_at_the_top(tmp_path):
    make_files(tmp_path, "b/2.png", "a/deep er/ü 1.JPG", "README.md", ".git/x/y.png", "a/.x.png")
    assert places(tmp_path) == {"a/deep er/ü 1.JPG": ("", "a"), "b/2.png": ("", "b")}
    assert folders.scan(tmp_path).classes == ("a", "b")


def test_splits_at_the_top_get_our_names(tmp_path):
    names = ("train", "valid", "val", "Validation", "TEST")
    make_files(tmp_path, *(f"{name}/a/{name}.png" for name in names), "train/loose.png")
    scanned = folders.scan(tmp_path)
    assert sorted(s.split for s in scanned.samples) == ["test", "train", "valid", "valid", "valid"]
    assert scanned.classes == ("a",)
    assert scanned.notes["rejected"] == [
        {"path": "train/loose.png", "reason": "not in a class folder"}
    ]


def test_a_class_may_have_the_name_of_a_split(tmp_path):
    """Trains, cars and buses: not every folder is a split."""
    make_files(tmp_path, "train/1.png", "car/1.png")
    assert places(tmp_path) == {"train/1.png": ("", "train"), "car/1.png": ("", "car")}


def test_what_is_not_an_image_is_reported_with_the_reason(tmp_path):
    make_files(tmp_path, "a/1.png")
    make_files(tmp_path, "a/0.txt", "b/page.jpg", data=b"<!DOCTYPE html>")
    (tmp_path / "b" / "empty.png").touch()
    scanned = folders.scan(tmp_path)
    assert scanned.counts() == {"a": 1, "b": 0}
    assert [item["path"] for item in scanned.notes["rejected"]] == [
        "a/0.txt", "b/empty.png", "b/page.jpg",
    ]  # fmt: skip
    assert scanned.notes["rejected"][2]["reason"].startswith("not an image (a web page)")


def test_links_and_devices_are_not_followed(tmp_path):
    root = make_files(tmp_path / "root", "a/1.png")
    make_files(tmp_path / "else", "2.png")
    (root / "a" / "link.png").symlink_to("1.png")
    (root / "a" / "more").symlink_to(tmp_path / "else")
    (root / "class").symlink_to(tmp_path / "else")
    os.mkfifo(root / "a" / "pipe.png")
    scanned = folders.scan(root)
    assert [s.path for s in scanned.samples] == ["a/1.png"]
    assert {item["path"]: item["reason"] for item in scanned.notes["rejected"]} == {
        "a/link.png": f"{LINK}; to read such links, set fetch.follow_links (or --follow-links) to "
        f"{(root / 'a').resolve()}",
        "a/more": f"{LINK}; it leads to no file",
        "class": f"{LINK}; it leads to no file",
        "a/pipe.png": "not a regular file",
    }


def test_equal_files_share_a_group_and_differ_in_id(tmp_path):
    for path in ("a/1.png", "a/2.png", "b/1.png"):
        make_files(tmp_path, path)
    digest = hashlib.sha256(RED + b"\0").hexdigest()
    scanned = folders.scan(tmp_path).samples
    assert [(s.id, s.group) for s in scanned] == [
        (digest, digest), (f"{digest}-2", digest), (f"{digest}-3", digest),
    ]  # fmt: skip


def test_a_file_too_large_is_not_even_read(tmp_path):
    make_files(tmp_path, "a/1.png")
    with (tmp_path / "a" / "2.png").open("wb") as stream:
        stream.truncate(LIMITS.bytes + 1)
    assert folders.scan(tmp_path).notes["rejected"] == [
        {"path": "a/2.png", "reason": "200,000,001 bytes are more than 200,000,000"}
    ]


def test_a_manifest_of_ours_is_read_and_another_one_is_not(tmp_path):
    make_files(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "manifest.csv").write_text("file,class\n")
    scanned = folders.scan(tmp_path)
    assert len(scanned.samples) == 2
    fewer = manifest.Manifest(scanned.classes, scanned.samples[:1])
    manifest.write_manifest(tmp_path, fewer)
    assert folders.scan(tmp_path) == fewer


def test_folders_that_cannot_be_scanned(tmp_path):
    with pytest.raises(InputError, match="missing: no such folder"):
        folders.scan(tmp_path / "missing")
    (tmp_path / os.fsdecode(b"a\xff")).mkdir()
    with pytest.raises(InputError, match=r"the name b'a\\xff' is not UTF-8, which DVC cannot keep"):
        folders.scan(tmp_path)


PARTS = st.lists(st.sampled_from(["train", "val", "a", "b c", "ü", ".h"]), min_size=1, max_size=4)


@hypothesis.settings(max_examples=15)  # test_layouts has the many; this one reads files
@given(paths=st.lists(PARTS.map(tuple), max_size=8), images=st.integers(0, 255))
def test_every_file_is_an_image_or_rejected_or_skipped(paths, images, tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for bit, parts in enumerate(paths):
        make_files(root, f"{'/'.join(parts)}/{bit}.x", data=RED if images >> bit & 1 else b"text")
    try:
        scanned = folders.scan(root)
    except InputError:  # two readings fit
        scanned = folders.scan(root, settings=ReadParams(layout="class"))
    listed = [s.path for s in scanned.samples], [item["path"] for item in scanned.notes["rejected"]]
    wanted = sorted(f"{'/'.join(p)}/{k}.x" for k, p in enumerate(paths) if ".h" not in p)
    assert sorted(listed[0] + listed[1]) == wanted
    assert all(names == sorted(names) for names in listed)


def test_a_path_is_hidden_if_any_part_is():
    assert folders.is_hidden(PurePosixPath("a/.b/c"))
    assert folders.is_hidden(PurePosixPath("__MACOSX/a"))
    assert not folders.is_hidden(PurePosixPath("a.b/c"))


@pytest.mark.parametrize("workers", [2, 5])
def test_several_workers_find_what_one_finds(tmp_path, workers):
    make_files(tmp_path, *(f"a/{n:03d}.png" for n in range(70)), "c/x.png")
    (tmp_path / "a" / "007.png").write_text("a line\nand another")
    scanned = folders.scan(tmp_path, workers=workers)
    assert scanned == folders.scan(tmp_path)
    assert (len(scanned.samples), len(scanned.notes["rejected"])) == (70, 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "x/photos.zip",
            r"archives in it \(x/photos.zip\): unpack it; then give",
        ),
        (
            "cat.tar.gz dog.tar.gz",
            r"archives in it \(cat.tar.gz and 1 more\): unpack it; then the",
        ),
        ("data/0.parquet data/1.parquet README.md", r"tables \(data/0.parquet and 1 more\).*docs/"),
    ],
)
def test_images_in_archives_or_tables_among_the_files_are_told(tmp_path, names, message):
    make_files(tmp_path, *names.split())
    with pytest.raises(InputError, match=message):
        folders.scan(tmp_path)


def test_an_archive_beside_its_own_images_does_not_matter(tmp_path):
    make_files(tmp_path, "a/1.png", "b/2.png", "photos.zip", "train.parquet")
    assert folders.scan(tmp_path).counts() == {"a": 1, "b": 1}
