"""Folders as people lay them out: what is understood, what is said, and where it is asked."""

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.datasets import layouts
from toolkit.datasets.params import ReadParams
from toolkit.errors import InputError


def read(text: str, **settings) -> layouts.Reading:
    """Read a folder with these files; a name that ends in / is an empty folder."""
    paths = [PurePosixPath(f"{name}.keep" if name.endswith("/") else name) for name in text.split()]
    folders = sorted({above for path in paths for above in path.parents if above.parts}, key=str)
    files = [path for path in sorted(paths, key=str) if path.name != ".keep"]
    return layouts.read_layout(files, folders, ReadParams(**settings))


def both(*tops: str) -> str:
    """Return the files of two classes in each of these folders."""
    return " ".join(f"{top}/{name}/{at}.jpg" for at, top in enumerate(tops) for name in "ab")


UNDERSTOOD = {
    "cat/1.jpg dog/2.jpg": "2 classes (cat, dog)",
    "0/1.png 1/2.png 2/3.png": "3 classes (0, 1, 2)",
    "train/1.jpg car/2.jpg": "2 classes (car, train)",
    "train_station/1.jpg bus_station/2.jpg": "2 classes (bus_station, train_station)",
    both("train", "val", "test"): "3 splits (train, val -> valid, test) x 2 classes (a, b)",
    both("Training", "Testing"): "2 splits (Training -> train, Testing -> test) x 2 classes (a, b)",
    both("TRAIN_SET", "ValSet", "Hold-Out"):
        "3 splits (TRAIN_SET -> train, ValSet -> valid, Hold-Out -> test) x 2 classes (a, b)",
    both("trainset", "testset"): "2 splits (trainset -> train, testset -> test) x 2 classes (a, b)",
    both("train2017", "val2017"):
        "2 splits (train2017 -> train, val2017 -> valid) x 2 classes (a, b)",
    both("lung_train", "lung_test"):
        "2 splits (lung_train -> train, lung_test -> test) x 2 classes (a, b)",
    both("dev", "eval"): "2 splits (dev -> train, eval -> test) x 2 classes (a, b)",
    both("train", "dev", "test"): "3 splits (train, dev -> valid, test) x 2 classes (a, b)",
    both("train", "eval", "test"): "3 splits (train, eval -> valid, test) x 2 classes (a, b)",
    both("fold_0", "fold_1", "fold_2"):
        "3 groups (fold_0, fold_1, fold_2) x 2 classes (a, b), each group in one split",
    both("fold0", "fold1", "test"):
        "3 splits (fold0 -> train, fold1 -> train, test) x 2 classes (a, b)",
    "cat/train/1.jpg cat/test/2.jpg dog/train/3.jpg dog/test/4.jpg":
        "2 classes (cat, dog) x 2 splits (train, test)",
    both("x/y/train", "x/y/test") + " x/LICENSE":
        "in x/y: 2 splits (train, test) x 2 classes (a, b)",
    both("Plant Leaves/Plant Leaves".replace(" ", "_")) + " README.md cover.png":
        "in Plant_Leaves/Plant_Leaves: 2 classes (a, b)",
    both("data/images", "data/annotations").replace("annotations/a/1.jpg", "annotations/a/1.xml")
        .replace("annotations/b/1.jpg", "annotations/b/1.xml"): "in data/images: 2 classes (a, b)",
    both("training_set/training_set", "test_set/test_set"):
        "2 splits (training_set -> train, test_set -> test) x 2 classes (a, b)",
    both("train/images", "test/images"): "2 splits (train, test) x 2 classes (a, b)",
    both("train/all", "test/all"): "2 splits (train, test) x 2 classes (a, b)",
    both("cat", "dog").replace("a/", "fold1/").replace("b/", "fold2/"):
        "2 classes (cat, dog) x 2 groups (fold1, fold2), each group in one split",
    both("train", "test") + " docs/1.pdf": "2 splits (train, test) x 2 classes (a, b)",
    "cat/p1/1.jpg cat/p2/2.jpg dog/p3/3.jpg":
        "2 classes (cat, dog) with folders in them (p1, p2, p3)",
    "train/cat/x/1.jpg train/dog/x/2.jpg test/cat/x/3.jpg test/dog/x/4.jpg":
        "2 splits (train, test) x 2 classes (cat, dog) with folders in them (x)",
    "ill/images/1.png ill/masks/1.png well/images/2.png well/masks/2.png":
        "2 classes (ill, well) with folders in them (images, masks)",
    "cat/1.jpg cat/x/2.jpg cat/y/3.jpg": "1 class (cat) with folders in them (x, y)",
    "cat/x/1.jpg": "1 class (cat) with folders in them (x)",
    "cat/1.jpg dog/": "2 classes (cat, dog)",
    "train/a/1.jpg train/b/2.jpg test/3.jpg": "2 splits (train, test) x 2 classes (a, b)",
}  # fmt: skip


@pytest.mark.parametrize("files", UNDERSTOOD)
def test_what_is_understood(files):
    assert read(files).said == UNDERSTOOD[files]


REFUSED = {
    both("Lernen", "Pruefen"): (
        "three readings fit", "--split-names Lernen=train,Pruefen=test",
        "classes (a, b) in each of Lernen, Pruefen: --layout any/class",
        "classes (Lernen, Pruefen) with folders in them (a, b): --layout class",
    ),
    both("SiteA", "SiteB") + " SiteB/c/1.jpg SiteC/unsorted.jpg": ("--split-names SiteB=train",),
    both("train", "test", "extra"): ("--leave-out extra", "--split-names extra=train"),
    both("train") + " misc/1.jpg": ("--leave-out misc", "--layout class"),
    "train/1.jpg test/2.jpg misc/3.jpg": ("splits (test, train) without class folders: --labels",),
    "cat/1.jpg dog/2.jpg test/3.jpg": ("--leave-out test", "classes (cat, dog, test): --layout"),
    "cat/1.jpg dog/2.jpg test/cat/1.jpg test/dog/2.jpg": ("--leave-out test",),
    both("s1/train", "s1/test", "s2/train", "s2/test"): (
        "--layout any/split/class", "--layout class/split",
    ),
    both("fold1/train", "fold1/test", "fold2/train", "fold2/test"): ("such as fold1",),
}  # fmt: skip


@pytest.mark.parametrize("files", REFUSED)
def test_where_several_readings_fit_each_is_shown_with_its_option(files):
    with pytest.raises(InputError) as caught:
        read(files)
    assert [part for part in REFUSED[files] if part not in str(caught.value)] == []


@pytest.mark.parametrize("files", REFUSED)
def test_each_layout_that_is_offered_decides(files):
    with pytest.raises(InputError) as caught:
        read(files)
    for layout in re.findall(r"--layout ([a-z/]+)", str(caught.value)):
        assert read(files, layout=layout).said
    for names in re.findall(r"--split-names (\S+?)(?:;|$)", str(caught.value)):
        assert (
            "splits (" in read(files, split_names=dict(p.split("=") for p in names.split(","))).said
        )


def test_the_folder_with_the_most_images_is_offered_as_train():
    files = (
        both("k1", "k2", "teste")
        + " teste/a/2.jpg treino/a/1.jpg treino/a/2.jpg treino/b/3.jpg treino/b/4.jpg"
    )
    with pytest.raises(InputError, match="--split-names treino=train,teste=test,k1=valid,k2=train"):
        read(files)


ANIMALS = "animal/cat/1.jpg animal/dog/2.jpg vehicle/car/3.jpg"
DECIDED = [
    (both("Lernen", "Pruefen"), {"split_names": {"Lernen": "train", "Pruefen": "test"}},
     "2 splits (Lernen -> train, Pruefen -> test) x 2 classes (a, b)"),
    (both("SiteA", "SiteB"), {"layout": "any/class"},
     "2 classes (a, b) in 2 folders (SiteA, SiteB)"),
    (both("SiteA", "SiteB"), {"layout": "group/class"},
     "2 groups (SiteA, SiteB) x 2 classes (a, b), each group in one split"),
    (both("SiteA", "SiteB"), {"layout": "class"},
     "2 classes (SiteA, SiteB) with folders in them (a, b)"),
    (ANIMALS, {"layout": "any/class"}, "3 classes (car, cat, dog) in 2 folders (animal, vehicle)"),
    (f"x/{ANIMALS.replace(' ', ' x/')}", {"layout": "any/class"},
     "in x: 3 classes (car, cat, dog) in 2 folders (animal, vehicle)"),
    (both("train", "test"), {"layout": "class"},
     "2 classes (test, train) with folders in them (a, b)"),
    ("cat/p1/1.jpg dog/p1/2.jpg", {"layout": "class/group"},
     "2 classes (cat, dog) x 1 group (p1), each group in one split"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "settings", "said"), DECIDED)
def test_an_option_decides(files, settings, said):
    assert read(files, **settings).said == said


def test_a_file_has_the_split_class_and_group_of_its_folders():
    text = "Site_1/Testing/cat/pt7/1.jpg Site_1/train/cat/pt8/2.jpg loose.jpg Site_2/no.jpg"
    reading = read(text, layout="any/split/class/group")
    path = PurePosixPath("Site_1/Testing/cat/pt7/1.jpg")
    assert reading.places[0] == layouts.Place(path, "cat", "test", "pt7")
    assert {str(file.path): file.reason for file in reading.left_out} == {
        "Site_2/no.jpg": layouts.OUTSIDE, "loose.jpg": layouts.OUTSIDE,
    }  # fmt: skip


def test_what_lies_beside_the_splits_is_left_out_and_named():
    reading = read(f"{both('train', 'test')} pred/1.jpg pred/2.jpg")
    assert reading.classes == ("a", "b")
    assert {file.reason for file in reading.left_out} == {"beside the splits, in pred"}


def test_folds_are_groups_and_beside_a_test_split_parts_of_train():
    places = read(both("fold0", "fold1")).places
    assert {(place.split, place.group) for place in places} == {("", "fold0"), ("", "fold1")}
    places = read(both("fold0", "fold1", "test")).places
    assert {(p.split, p.group) for p in places} == {
        ("train", "fold0"), ("train", "fold1"), ("test", ""),
    }  # fmt: skip


def test_a_layout_with_splits_of_unknown_names_asks_what_they_are():
    with pytest.raises(InputError, match=r"SiteA, SiteB is for .*--split-names SiteA=train,SiteB="):
        read(both("SiteA", "SiteB"), layout="split/class")


def test_names_with_a_comma_are_quoted():
    path = PurePosixPath("ill, badly/1.jpg")
    reading = layouts.read_layout([path], [path.parent], ReadParams())
    assert reading.said == "1 class ('ill, badly')"


def test_names_in_an_option_can_be_pasted():
    files = [PurePosixPath(f"Site {top}, old/{name}/1.jpg") for top in "AB" for name in "xy"]
    above = sorted({folder for file in files for folder in file.parents if folder.parts}, key=str)
    with pytest.raises(InputError, match="'Site A, old=train,Site B, old=test'"):
        layouts.read_layout(files, above, ReadParams())


NAMES = ["train", "Testing", "dev", "fold_1", "fold_2", "images", "labels", "cat", "dog", "A"]
FILES = ["1.jpg", "2.png", "LICENSE", "notes.txt"]
PATHS = st.builds(
    lambda folders, name: "/".join([*folders, name]),
    st.lists(st.sampled_from(NAMES), max_size=5), st.sampled_from(FILES),
)  # fmt: skip


@given(paths=st.lists(PATHS, unique=True, max_size=12), layout=st.sampled_from(["", "any/class"]))
def test_every_file_has_one_place_or_is_left_out_or_it_is_asked(paths, layout):
    try:
        reading = read(" ".join(paths), layout=layout)
    except InputError:  # it is asked
        return
    assert sorted(
        [str(place.path) for place in reading.places] + [str(f.path) for f in reading.left_out]
    ) == sorted(paths)
    assert {place.label for place in reading.places} <= set(reading.classes)
    assert {place.split for place in reading.places} <= {"", "train", "valid", "test"}


def test_names_of_classes_that_look_alike_are_said():
    names = ("Cat", "cat", "Katze\u0308", "Katzë", "no mask", "no_mask", "-1", "1", "<5", ">5")
    reading = layouts.Reading((), names, said="7 classes")
    said = layouts.describe_reading(reading, 1, [])
    assert said.startswith("7 classes, 1 image; the classes 'Cat' and 'cat' look alike: if they")
    assert """--classes '{"merge": {"cat": ["Cat"]}}\'""" in said
    assert said.count("look alike") == 3
