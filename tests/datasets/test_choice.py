"""Patterns choose files, settings choose classes, and companions are seen by their names."""

from collections import Counter
from pathlib import PurePosixPath

import pytest

from toolkit.datasets import choice
from toolkit.datasets.params import ClassParams
from toolkit.errors import InputError


def paths(*texts):
    return [PurePosixPath(text) for text in texts]


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("cat/a.jpg", "*.jpg", True),
        ("cat/A.JPG", "*.jpg", True),
        ("cat/a.jpg", "a", False),
        ("cat/masks/a.png", "masks", True),
        ("cat/masks/a.png", "masks/", True),
        ("cat/masks_2/a.png", "masks", False),
        ("train/cat/a.png", "train/cat", True),
        ("train/cat/a.png", "/train", True),
        ("cat/train/a.png", "/train", False),
        ("cat/train/a.png", "train/*", False),
        ("train/cat/a.png", "train/*/a.*", True),
        ("a/b/c/d.png", "a/**/d.png", True),
        ("a/d.png", "a/**/d.png", True),
        ("a/b/c/d.png", "a/*/d.png", False),
        ("cat/scan_12.png", "scan_[0-9]?.png", True),
        ("Bu\u0308che/a.png", "B\u00fcche", True),
        ("x/" * 60 + "y", "**/" * 60 + "z", False),
        ("a" * 250, "*a" * 100 + "b", False),
    ],
)
def test_a_pattern_fits_any_name_or_with_a_slash_the_path_from_the_top(path, pattern, fits):
    assert choice.fits_pattern(PurePosixPath(path), pattern) is fits


def test_each_file_that_is_left_out_has_its_setting():
    files = paths("cat/1.jpg", "cat/1.png", "dog/2.jpg", "dog/old/3.jpg", "masks/1.png")
    folders = paths("cat", "dog", "dog/old", "empty", "masks")
    chosen = choice.choose_files(files, folders, ["*.jpg"], ["old"])
    assert chosen.files == paths("cat/1.jpg", "dog/2.jpg")
    assert Counter(chosen.left_out.values()) == {
        "fetch.only": 2, "fetch.leave_out": 1,
    }  # fmt: skip
    assert chosen.folders == paths("cat", "dog", "empty")


def test_without_patterns_all_files_and_folders_are_used():
    files, folders = paths("cat/1.jpg", "dog/2.jpg"), paths("cat", "dog")
    assert choice.choose_files(files, folders, [], []) == choice.FileChoice(files, folders, {})
    assert choice.choose_files([], folders, ["*.jpg"], []).folders == folders


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"only": ["*.tif"], "leave_out": []}, r"fetch.only: \['\*.tif'\] leaves out all 2 files"),
        ({"only": [], "leave_out": ["cat"]}, r"fetch.leave_out: .*, such as 'cat/1.jpg'"),
    ],
)
def test_patterns_that_leave_nothing_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        choice.choose_files(paths("cat/1.jpg", "cat/2.jpg"), paths("cat"), **settings)


# --- classes ----------------------------------------------------------------------------------

COUNTS = {"cat": 40, "dog": 12, "fox": 3, "lynx": 1, "other": 6}


def choose(**settings):
    return choice.choose_classes(COUNTS, ClassParams.model_validate(settings))


def test_classes_keep_their_names_without_settings():
    chosen = choose()
    assert chosen.names == {name: name for name in COUNTS}
    assert chosen.left_out == {}
    assert choice.describe_classes(chosen, COUNTS) == []


def test_classes_are_left_out_merged_and_renamed():
    chosen = choose(leave_out=["other"], merge={"feline": ["cat", "lynx"]}, rename={"dog": "hound"})
    assert chosen.names == {"cat": "feline", "dog": "hound", "fox": "fox", "lynx": "feline"}
    assert chosen.left_out == {"other": "fetch.classes.leave_out"}
    assert choice.describe_classes(chosen, COUNTS) == [
        "cat, lynx -> feline",
        "dog -> hound",
        "left out by fetch.classes.leave_out: 6 (other)",
    ]


def test_small_classes_are_left_out_with_the_reason():
    chosen = choose(smallest=5, below="leave_out")
    assert list(chosen.names) == ["cat", "dog", "other"]
    assert chosen.left_out == dict.fromkeys(("fox", "lynx"), "fetch.classes.smallest")


def test_small_classes_are_merged_into_other():
    chosen = choose(smallest=10, below="merge")
    assert chosen.names == {
        "cat": "cat", "dog": "dog", "fox": "other", "lynx": "other", "other": "other",
    }  # fmt: skip


def test_what_is_merged_counts_together():
    assert choose(smallest=4, merge={"rare": ["fox", "lynx"]}).names["lynx"] == "rare"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smallest": 5}, "smallest is 5, but there are classes with fewer: fox 3, lynx 1; set "),
        ({"smallest": 13, "below": "merge", "leave_out": ["other", "dog"]}, "also together: fox 3"),
        ({"leave_out": ["cats"]}, "there is no class 'cats'; did you mean 'cat'. the classes are"),
        ({"merge": {"x": ["zebra"]}}, "fetch.classes.merge.x: there is no class 'zebra'; the "),
        ({"leave_out": ["cat"], "rename": {"cat": "x"}}, "'cat' is in leave_out and in rename"),
        ({"merge": {"a": ["cat"], "b": ["cat"]}}, "'cat' is in merge.a and in merge.b"),
    ],
)
def test_settings_that_do_not_fit_the_classes_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        choose(**settings)


# --- companions -------------------------------------------------------------------------------


def companions(*texts, labels=None, information=None):
    files = paths(*texts)
    labels = labels or [path.parts[0] for path in files]
    return choice.find_companions(files, labels, information or [1.0] * len(files))


def test_companions_by_ending_are_those_with_less_information():
    files = [f"free/Imgs/img_{n}.{ending}" for n in range(5) for ending in ("jpg", "png")]
    found = companions(*files, information=[5.0, 0.3] * 5)
    assert found.patterns == ("*.png",)
    assert found.indices == (1, 3, 5, 7, 9)
    assert found.example == tuple(paths("free/Imgs/img_0.jpg", "free/Imgs/img_0.png"))
    assert companions(*files, information=[0.3, 5.0] * 5).patterns == ("*.jpg",)
    assert companions(*files).patterns == ("*.png",)


def test_others_that_fit_the_pattern_are_counted():
    files = [f"a/{n}.{ending}" for n in range(5) for ending in ("jpg", "png")]
    assert companions(*files, "b/9.png").others == 1


def test_companions_by_suffix():
    files = [f"a/benign ({n}){mark}.png" for n in range(4) for mark in ("", "_mask", "_mask_1")]
    found = companions(*files)
    assert found.patterns == ("*_mask*",)
    assert len(found.indices) == 8


@pytest.mark.parametrize("picture", ["a/images/{}.jpg", "a/{}.jpg"])
def test_companions_by_folder(picture):
    files = [form.format(n) for n in range(4) for form in (picture, "a/masks/{}.png")]
    assert companions(*files).patterns == ("masks",)


def test_classes_cameras_and_a_few_odd_names_are_no_companions():
    """The class masks is one of people with masks; numbers begin anew in every folder."""
    files = [f"{folder}/{n}.png" for folder in ("mask", "none", "a/x", "a/y") for n in range(9)]
    assert companions(*files) is None
    assert companions(*files, "none/1.jpg", "none/2.jpg") is None
    assert companions() is None
    assert companions(*(f"a/{name}{n}.png" for name in ("IMG", "img") for n in range(9))) is None
