"""Groups come from folders and patterns, and are seen where names look like them."""

import time
from pathlib import PurePosixPath

import pytest

from toolkit.datasets import groups
from toolkit.errors import InputError


def paths(*texts):
    return [PurePosixPath(text) for text in texts]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("1", ["a", "b", ""]),
        ("2", ["p1", "", ""]),
        ("-1", ["p1", "b", ""]),
        ("-2", ["a", "", ""]),
        (r"^(p\d+)_", ["", "p2", "p3"]),
        (r"(p\d+)", ["", "p2", "p3"]),
        (r"/?(p\d+)[/_]", ["p1", "p2", "p3"]),
        (r"^(p3)?", ["", "", "p3"]),
    ],
)
def test_groups_come_from_a_folder_a_name_or_a_path(group, names):
    assert groups.group_paths(paths("a/p1/1.png", "b/p2_1.png", "p3_1.png"), group) == names


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("^p[0-9]+", r"must have one group in parentheses, as '\^\(.\+\)_', got 0"),
        ("(p)(1)", "must have one group in parentheses, .*, got 2"),
        ("(p", "is not a regular expression"),
        ("(" * 290, "is not a regular expression"),
        ("x" * 301 + "()", "must be at most 300 characters"),
        ("(patient)", "gives no file a group, such as 'a/p1.png'"),
        ("3", "gives no file a group"),
        ("^(p)", "gives all files the same group, 'p'"),
    ],
)
def test_a_group_that_groups_nothing_is_refused(group, message):
    with pytest.raises(InputError, match=f"fetch.group: .*{message}"):
        groups.group_paths(paths("a/p1.png", "a/p2.png"), group)


def test_a_pattern_without_an_end_is_stopped(monkeypatch):
    monkeypatch.setattr(groups, "SECONDS", 0.2)
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"took more than 0.2 seconds; write one with fewer"):
        groups.group_paths(paths("a/" + "a" * 60 + "!"), "^((?:a+)+)$")
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("group", "column"), [("lesion_id", True), ("", False), ("-1", False), ("^(p)", False)]
)
def test_what_is_no_level_and_no_pattern_is_a_column(group, column):
    assert groups.is_column(group) is column


# --- names that look like groups --------------------------------------------------------------


def look(*texts, pictures=None):
    files = paths(*texts)
    labels = [path.parts[0] for path in files]
    found = groups.find_name_groups(files, labels, pictures or list(range(len(files))))
    if found:
        again = groups.group_paths(files, found.setting)
        assert len(found.counts) == len(set(again) - {""})
    return found


def names(form, groups_of=range(6), of=range(4)):
    return [f"{'ab'[g % 2]}/{form.format(g=g, n=n)}" for g in groups_of for n in of]


@pytest.mark.parametrize(
    "form",
    [
        "p{g:03d}_view{n}.png",
        "{g:03d}-{n}.png",
        "patient {g} ({n}).png",
        "scan_p{g:02d}_slice{n:03d}.jpg",
        "video{g}.frame{n:05d}.png",
        "p{g}v{n}.png",
        "{g}left{n}.png",
        "P{g}/visit1/{n}.png",
        "P{g}/{n}.png",
        "study_x_y{g}_z{n}.png",
        "IMG_{g}_jpg.rf.a{n}f.jpg",
        "a_b_c_d{g}_{n}.png",
    ],
)
def test_names_of_several_pictures_of_one_thing_look_like_groups(form):
    found = look(*names(form))
    assert len(found.counts) == 6
    assert set(found.counts.values()) == {4}


def test_the_coarsest_groups_are_told():
    """Both eyes of a patient, several visits: the patient is the group."""
    files = [f"{'ab'[g % 2]}/p{g}_{side}_{n}.png" for g in range(6) for side in "lr" for n in "12"]
    assert set(look(*files).counts.values()) == {4}


@pytest.mark.parametrize(
    "form",
    [
        "{g}{n}.png",
        "IMG_{g}{n}.png",
        "img_{n}_{g}{n}.png",
        "cat.{g}{n}.jpg",
        "fold_{g}/{n}.png",
        "Imgs/{g}{n}.png",
        "{g}{n}a8f3-{n}{g}b.png",
        "2023-01-{g}{n} 12.00.{g}{n}.jpg",
    ],
)
def test_running_numbers_cameras_and_folds_are_no_groups(form):
    assert look(*names(form)) is None


def test_names_of_classes_are_no_groups():
    assert look(*(f"{c}/{c}_{n}.jpg" for c in "abcdefgh" for n in range(9))) is None
    assert look(*(f"{c}/{c}.{n}.jpg" for c in "abcdefgh" for n in range(9))) is None


def test_numbers_that_begin_anew_in_each_class_are_no_groups():
    assert look(*(f"{c}/{n:04d}.jpg" for c in "abc" for n in range(20))) is None
    assert look(*(f"{c}/{n:04d}_{c}.jpg" for c in "abc" for n in range(20))) is None


def test_tracks_that_are_counted_anew_in_each_class_are_groups_within_it():
    """As in GTSRB, whose 00000_00000.ppm to 00000_00029.ppm are one sign in each class."""
    files = [f"{c:05d}/{t:05d}_{n:05d}.ppm" for c in range(4) for t in range(5) for n in range(6)]
    found = look(*files)
    assert (len(found.counts), set(found.counts.values())) == (20, {6})
    assert found.setting == r"([^/]+/[^_]+)_[^/]*$"
    said = groups.describe_name_groups(found)
    assert said.endswith("; to '^([^_]+)_' if a number is the same thing in every class")


def test_patients_with_pictures_in_several_classes_are_one_group():
    files = [f"{c}/p{g}_{c}{n}.png" for c in "abc" for g in range(6) for n in range(2)]
    assert set(look(*files).counts.values()) == {6}


def test_copies_of_one_picture_are_no_group():
    files = names("p{g}_{n}.png")
    assert look(*files, pictures=[at // 4 for at in range(len(files))]) is None


def test_no_files_have_no_groups():
    assert look() is None
