"""Folders with a table of labels: what `scan` and `fetch_source` make of them."""

import pytest

from tests.datasets.test_folders import make_files
from toolkit.datasets import folders, params, sources
from toolkit.errors import InputError

PATHS = [f"photos/{n}.png" for n in range(6)]
NUMBERED = r"^(.+?)[ ._-]*[(]?[0-9]+[)]?[.][^.]+$"
TABLE = "patient;file;class\n" + "".join(f"p{n // 2};{n};{'aab'[n % 3]}\n" for n in range(6))


def write(root, **tables):
    """A folder of images, and tables of labels beside it."""
    make_files(root, *PATHS)
    for name, text in tables.items():
        (root / f"{name}.csv").write_text(text)
    return root


def scan(root, **settings):
    return folders.scan(root, settings=params.ReadParams.model_validate(settings))


def test_a_table_beside_the_images_gives_classes_and_groups(tmp_path):
    scanned = scan(write(tmp_path, labels=TABLE))
    assert scanned.counts() == {"a": 4, "b": 2}
    assert [sample.group for sample in scanned.samples] == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert scanned.notes == {
        "rejected": [],
        "read": "labels.csv (separated by semicolons): images by file, labels by class, groups by "
        "patient: 2 classes (a, b), 6 images",
    }


def test_rows_without_images_and_images_without_rows_are_listed(tmp_path):
    table = TABLE.replace("p0;1;a", "p0;../../etc/passwd;a").replace("p2;5;b", "p2;5;")
    rejected = scan(write(tmp_path, labels=table)).notes["rejected"]
    assert rejected == [
        {"path": "../../etc/passwd", "reason": "there is no such image (labels.csv, line 3)"},
        {"path": "photos/1.png", "reason": "no row in labels.csv"},
        {"path": "photos/5.png", "reason": "no label in labels.csv"},
    ]


def test_fetch_reads_the_table_and_keeps_the_images_alone(tmp_path):
    write(tmp_path / "in", labels=TABLE)
    section = params.Folder(
        source="folder", path=str(tmp_path / "in"), labels="labels.csv", only=["*.png"]
    )
    fetched = sources.fetch_source(section, tmp_path / "out", tmp_path / "work")
    assert fetched.counts() == {"a": 4, "b": 2}
    assert not (tmp_path / "out" / "labels.csv").exists()


def test_folders_and_a_table_that_say_the_same_go_together(tmp_path):
    make_files(tmp_path, *(f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(6)))
    rows = "".join(f"{n}.png,{n % 2},{n // 3}\n" for n in range(6))
    (tmp_path / "metadata.csv").write_text(f"file_name,label,patient\n{rows}")
    scanned = scan(tmp_path)
    assert scanned.counts() == {"cat": 3, "dog": 3}
    assert {sample.group for sample in scanned.samples} == {"0", "1"}


def test_a_table_of_groups_leaves_the_labels_to_the_folders(tmp_path):
    make_files(tmp_path, *(f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(8)))
    rows = "".join(f"{n},{n // 4},{'mf'[n // 4]}\n" for n in range(8))
    (tmp_path / "owners.csv").write_text(f"image,patient,sex\n{rows}")
    scanned = scan(tmp_path)
    assert scanned.counts() == {"cat": 4, "dog": 4}
    assert {sample.group for sample in scanned.samples} == {"0", "1"}
    assert "; owners.csv: groups by patient for 8 images" in scanned.notes["read"]


def test_folders_and_a_table_that_differ_are_a_question(tmp_path):
    make_files(tmp_path, *(f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(8)))
    rows = "".join(f"{n}.png,{'cat' if n % 2 and n > 1 else 'dog'}\n" for n in range(8))
    (tmp_path / "metadata.csv").write_text(f"file_name,label\n{rows}")
    question = r"two readings fit: 2 classes \(cat, dog\), or metadata\.csv: .*; say which: "
    with pytest.raises(InputError, match=question + "`--layout class` or `--labels metadata"):
        scan(tmp_path)
    assert scan(tmp_path, layout="class").counts() == {"cat": 4, "dog": 4}
    assert scan(tmp_path, labels="metadata.csv").counts() == {"cat": 3, "dog": 5}


def test_folders_that_are_parts_of_a_collection_are_no_classes(tmp_path):
    make_files(tmp_path, *(f"HAM_part_{n % 2 + 1}/{n}.png" for n in range(8)))
    rows = "".join(f"{n},{'nv' if n < 4 else 'mel'}\n" for n in range(8))
    (tmp_path / "metadata.csv").write_text(f"image_id,dx\n{rows}")
    assert scan(tmp_path).counts() == {"mel": 4, "nv": 4}


def test_splits_may_be_folders_and_labels_a_table(tmp_path):
    make_files(tmp_path, *(f"{'train' if n % 3 else 'test'}/{n}.png" for n in range(6)))
    rows = "".join(f"{n},{'ab'[n // 2 % 2]}\n" for n in range(6))
    (tmp_path / "labels.csv").write_text(f"image,label\n{rows}")
    scanned = scan(tmp_path)
    assert scanned.counts("train") == {"a": 3, "b": 1}
    assert scanned.counts("test") == {"a": 1, "b": 1}


def test_splits_of_a_table_are_kept_by_a_project(tmp_path):
    rows = "".join(f"{n},{'ab'[n % 2]},{'test' if n > 3 else 'train'}\n" for n in range(6))
    write(tmp_path, labels=f"image,label,split\n{rows}")
    scanned = scan(tmp_path)
    assert scanned.counts("test") == {"a": 1, "b": 1}
    remedy = folders.suggest_splits(scanned, tmp_path)
    assert remedy.startswith("make a project, which keeps them: `toolkit init my-project --images")


def test_images_that_a_table_gives_no_split_go_to_train_and_the_others_stay(tmp_path):
    splits = ["train", "test", "", "test", "train", ""]
    rows = "".join(f"{n},{'aab'[n % 3]},{split}\n" for n, split in enumerate(splits))
    scanned = scan(write(tmp_path, labels=f"image,label,split\n{rows}"))
    assert [s.split for s in scanned.samples] == [split or "train" for split in splits]
    assert "2 classes (a, b), 2 images without a split go to train" in scanned.notes["read"]


def test_a_column_of_weights_says_how_much_images_count_and_is_never_the_label(tmp_path):
    rows = "".join(f"{n};{'aab'[n % 3]};{1 + n % 2},5\n" for n in range(6))
    scanned = scan(write(tmp_path, labels=f"image;cover;sample_weight\n{rows}"))
    assert scanned.counts() == {"a": 4, "b": 2}
    assert [sample.weight for sample in scanned.samples] == [1.5, 2.5, 1.5, 2.5, 1.5, 2.5]
    read = scanned.notes["read"]
    assert "weights by sample_weight: 2 classes (a, b), weights 1.5 to 2.5, 6 images" in read


def test_weights_of_a_scale_are_not_read_where_that_is_said(tmp_path):
    rows = "".join(f"{n},{'aab'[n % 3]},{n or ''},2\n" for n in range(6))
    write(tmp_path, labels=f"image,cover,weight,grade\n{rows}")
    with pytest.raises(
        InputError, match=r"column weight must .* above 0, got '' for .*--weight no"
    ):
        scan(tmp_path, label="cover")
    scanned = scan(tmp_path, label="cover", weight="none")
    assert not scanned.weighted
    assert "labels by cover, not used: weight: 2 classes" in scanned.notes["read"]
    assert {sample.weight for sample in scan(tmp_path, label="cover", weight="grade").samples} == {
        2
    }


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "heavy", "1,2.5"])
def test_a_weight_that_is_no_number_above_0_is_refused(tmp_path, text):
    rows = "".join(f'{n},"{text if n == 3 else n + 1}"\n' for n in range(6))
    make_files(tmp_path, *(f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(6)))
    (tmp_path / "weights.csv").write_text(f"image,weight\n{rows}")
    with pytest.raises(InputError, match=rf"weights.csv: column weight must .*'{text}' for cat/3"):
        scan(tmp_path)


def test_a_table_of_weights_goes_with_class_folders_and_with_another_table(tmp_path):
    weights = "image,weight\n3,2\n4,0.5\n"
    make_files(tmp_path / "in", *(f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(6)))
    (tmp_path / "in" / "weights.csv").write_text(weights)
    by_folder = scan(tmp_path / "in")
    assert [by_folder.samples[at].weight for at in range(6)] == [1, 2, 1, 1, 1, 0.5]
    assert by_folder.notes["read"].startswith(
        "2 classes (cat, dog); weights.csv: weights by weight for 2 images, weights 0.5 to 2 (1 "
        "for the others, 4)"
    )
    scanned = scan(write(tmp_path / "flat", labels=TABLE, weights=weights))
    assert [sample.weight for sample in scanned.samples] == [1, 1, 1, 2, 0.5, 1]
    assert "groups by patient, weights by weight of weights.csv" in scanned.notes["read"]


def test_groups_and_weights_of_two_tables_go_with_class_folders(tmp_path):
    make_files(tmp_path, *(f"{'cat' if n % 2 else 'dog'}/{n}.png" for n in range(6)))
    (tmp_path / "a.csv").write_text("image,patient\n0,p\n1,p\n2,q\n3,q\n")
    (tmp_path / "b.csv").write_text("image,weight\n" + "".join(f"{n},2\n" for n in range(1, 6)))
    samples = {sample.path[4]: sample for sample in scan(tmp_path).samples}
    assert [samples[str(n)].weight for n in range(6)] == [1, 2, 2, 2, 2, 2]
    assert [samples[str(n)].group for n in range(4)] == ["p", "p", "q", "q"]


def test_columns_go_with_classes_in_names(tmp_path):
    make_files(tmp_path, *(f"{name}.{n}.png" for name in ("cat", "dog") for n in range(3)))
    rows = "".join(f"{name}.{n}.png,{n + 1}\n" for name in ("cat", "dog") for n in range(3))
    (tmp_path / "more.csv").write_text(f"image,weight\n{rows}")
    scanned = scan(tmp_path, label="^([a-z]+)", weight="weight")
    assert scanned.counts() == {"cat": 3, "dog": 3}
    assert [sample.weight for sample in scanned.samples] == [1, 2, 3, 1, 2, 3]


def test_a_usual_column_that_cannot_be_read_is_named(tmp_path):
    rows = "".join(f"{n},{'aab'[n % 3]},{n % 3},{['A', 'B'][n % 2]}\n" for n in range(6))
    read = scan(write(tmp_path, labels=f"image,label,fold,usage\n{rows}")).notes["read"]
    assert "labels by label, not used: fold, usage: 2 classes" in read


def test_rows_of_images_that_a_setting_leaves_out_are_not_told_as_missing(tmp_path):
    scanned = scan(write(tmp_path, labels=TABLE), leave_out=["[45].png"])
    assert scanned.notes["rejected"] == []
    assert scanned.notes["read"].endswith("4 images; left out by fetch.leave_out: 2")


def test_the_class_is_in_the_name(tmp_path):
    make_files(tmp_path, *(f"{name}.{n}.png" for name in ("cat", "dog") for n in range(3)), "x.png")
    scanned = scan(tmp_path, label=r"^([a-z]+)\.\d")
    assert scanned.counts() == {"cat": 3, "dog": 3}
    assert scanned.notes["rejected"] == [{"path": "x.png", "reason": "no class in its name"}]


def test_a_table_that_is_asked_for_and_not_there_is_told(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=r"no table of labels is there, but --label dx is given"):
        scan(tmp_path, label="dx")


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("cat.0.jpg cat.1.jpg dog.0.jpg dog.1.jpg", NUMBERED),
        ("big_owl_1.jpg big_owl_2.jpg owl(1).png owl(2).png", NUMBERED),
        ("cat-a.jpg cat-b.jpg dog-a.jpg dog-b.jpg", r"^([^\W\d_]+)[ ._-]"),
        ("001_cat_x.jpg 002_cat_y.jpg 003_dog_z.jpg 004_dog_w.jpg", r"^[0-9]+[ ._-]+([^\W\d_]+)"),
        ("cat_Train/a.jpg cat_test/b.jpg dog_Train/c.jpg dog_test/d.jpg",
         "([^/]+)[ _-](?i:train|valid?|test)/"),
        ("test_cat/a.jpg train_cat/b.jpg test_dog/c.jpg train_dog/d.jpg",
         "(?i:train|valid?|test)[ _-]([^/]+)/"),
    ],
)  # fmt: skip
def test_classes_in_names_are_suggested_and_then_read(tmp_path, names, pattern):
    make_files(tmp_path, *names.split())
    with pytest.raises(InputError, match=r"no class folder; names of .* look like") as error:
        folders.check_classes(scan(tmp_path), "x")
    assert f"--label '{pattern}'" in str(error.value)
    assert len(scan(tmp_path, label=pattern).classes) == 2


def test_a_table_beside_the_folder_of_images_is_told(tmp_path):
    write(tmp_path / "data", labels=TABLE)
    with pytest.raises(InputError, match=r"labels.csv lies beside it; give .*data, which holds"):
        scan(tmp_path / "data" / "photos")


def test_a_spreadsheet_beside_one_folder_of_images_is_told(tmp_path):
    write(tmp_path)
    (tmp_path / "Labels.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"Labels.xlsx is a spreadsheet, .* save it as CSV"):
        folders.check_classes(scan(tmp_path), "x", 2)
