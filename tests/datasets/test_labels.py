"""Tables of labels as people, challenges and annotation tools write them."""

import json
from pathlib import PurePosixPath

import pytest

from toolkit.datasets.tables import labels
from toolkit.errors import InputError

IMAGES = [f"images/IMG_{n:03}.jpg" for n in range(8)]
LABELS = ["nv", "nv", "nv", "nv", "nv", "mel", "mel", "bkl"]
ROWS = [(f"P{n // 2}", PurePosixPath(path).stem, label, str(40 + n))
        for n, (path, label) in enumerate(zip(IMAGES, LABELS, strict=True))]  # fmt: skip
SPLITS = {"train": "train", "training": "train", "val": "valid", "test": "test"}


def table(header, rows, separator=","):
    """A CSV file."""
    return "".join(f"{separator.join(map(str, row))}\n" for row in [header, *rows]).encode()


def find(files, images=IMAGES, **wanted):
    """What the tables, path -> content, say of the images."""
    paths = [PurePosixPath(path) for path in images]
    return labels.find_labels(
        [*map(PurePosixPath, files), *paths],
        paths,
        lambda path: files[str(path)],
        wanted,
        lambda names: {n: SPLITS[n.lower()] for n in names if n.lower() in SPLITS},
    )


def given(found):
    """{path: label}."""
    return {str(path): row.label for path, row in found.rows.items()}


HEADER = ("patient_id", "image_id", "dx", "age")
PLAIN = table(HEADER, ROWS)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        table(HEADER, ROWS, ";"),
        table(HEADER, ROWS, "\t").decode().encode("utf-16"),
        table(HEADER, ROWS).replace(b"\n", b"\r\n").decode().encode("utf-8-sig"),
        table(("", *HEADER), [(n, *row) for n, row in enumerate(ROWS)]),
        table(HEADER, [(p, f"C:\\data\\images\\{i}.jpg", d, a) for p, i, d, a in ROWS], "|"),
        table(HEADER, [(p, f"./{i}.JPG", d, a) for p, i, d, a in ROWS]),
        table(HEADER, [(p, f"https://x.org/a%20b/{i}.jpg?v=1", d, a) for p, i, d, a in ROWS]),
        table(HEADER, [(p, f"/data/upload/1/0a1b2c3d-{i}.jpg", d, a) for p, i, d, a in ROWS]),
        table(HEADER, [(p, f"/data/local-files/?d=images/{i}.jpg", d, a) for p, i, d, a in ROWS]),
        PLAIN.removesuffix(b"\n").replace(
            b",bkl,", b",mel,"
        ),  # only the end of the file is missing
    ],
)
def test_image_label_and_group_are_found(data):
    found = find({"metadata.csv": data})
    columns = found.columns
    assert (columns.image, columns.labels, columns.group) == ("image_id", ("dx",), "patient_id")
    assert [given(found)[path] for path in IMAGES[:7]] == LABELS[:7]
    assert found.left_out == ()
    assert found.rows[PurePosixPath(IMAGES[3])].group == "P1"


def test_columns_of_0_and_1_are_classes():
    classes = ("MEL", "NV", "BKL", "UNK")
    rows = [(PurePosixPath(path).stem, *(f"{float(label == c.lower())}" for c in classes))
            for path, label in zip(IMAGES, LABELS, strict=True)]  # fmt: skip
    found = find({"truth.csv": table(("image", *classes), rows)})
    assert list(given(found).values()) == [label.upper() for label in LABELS]
    rows[0] = (rows[0][0], "1", "1", "0", "0")
    found = find({"truth.csv": table(("image", *classes), rows)}, label=",".join(classes))
    assert found.left_out == ((IMAGES[0], "several labels in truth.csv"),)


@pytest.mark.parametrize(
    ("name", "values", "classes"),
    [
        ("usable", [1] * 8, ["MEL", "NV"]),
        ("UNK", [0] * 8, ["MEL", "NV", "UNK"]),
        ("source", ["isic"] * 8, ["MEL", "NV"]),
        ("size", [450] * 8, ["MEL", "NV"]),
    ],
)
def test_a_constant_column_beside_classes_of_0_and_1_decides_nothing(name, values, classes):
    rows = [(path, int(n < 5), int(n >= 5), value)
            for n, (path, value) in enumerate(zip(IMAGES, values, strict=True))]  # fmt: skip
    found = find({"truth.csv": table(("image", "MEL", "NV", name), rows)})
    assert list(found.columns.labels) == classes
    assert list(given(found).values()) == ["MEL"] * 5 + ["NV"] * 3


def test_a_split_of_one_class_of_0_and_1_goes_with_the_other():
    files = {
        f"{split}/_classes.csv": table(
            ("filename", "cat", "dog"), [(f"{n}.png", 1, 0), (f"{n + 1}.png", cat, 1 - cat)]
        )
        for split, n, cat in (("train", 0, 0), ("val", 2, 1))
    }
    found = find(files, [f"{'train' if n < 2 else 'val'}/{n}.png" for n in range(4)])
    assert [row.label for row in found.rows.values()] == ["cat", "dog", "cat", "cat"]


def test_columns_of_0_and_1_that_do_not_divide_the_rows_are_asked_for():
    rows = [(path, int(n < 5), int(n >= 5), n % 2) for n, path in enumerate(IMAGES)]
    with pytest.raises(InputError, match=r"give one by --label .*, or those of 0 and 1 that are"):
        find({"truth.csv": table(("image", "MEL", "NV", "sex"), rows)})


@pytest.mark.parametrize("name", ["val.txt", "val.csv"])
@pytest.mark.parametrize(
    ("images", "texts"),
    [
        (IMAGES, ["red fox", "owl"] * 4),
        ([f"my photo {n}.png" for n in range(8)], ["0", "1"] * 4),
    ],
)
def test_spaces_in_names_and_labels_of_plain_lines_divide_nothing(name, images, texts):
    lines = "".join(f"{path} {text}\n" for path, text in zip(images, texts, strict=True))
    assert list(given(find({name: lines.encode()}, images)).values()) == texts


def test_a_plain_list_of_images_with_several_columns_is_asked_about():
    lines = "".join(
        f"{path} {'red fox' if n % 2 else 'grey wolf'}\n" for n, path in enumerate(IMAGES)
    )
    with pytest.raises(InputError, match=r"label: column 2 .grey, red., column 3 .wolf, fox.; gi"):
        find({"val.txt": lines.encode()})


def test_words_in_a_column_of_weights_are_labels():
    rows = [(path, "heavy" if n % 2 else "light") for n, path in enumerate(IMAGES)]
    assert find({"t.csv": table(("image", "weight"), rows)}).columns.labels == ("weight",)


def test_rows_without_images_and_images_without_rows_are_counted():
    rows = [*ROWS[2:], ("P9", "IMG_900", "nv", "1"), ("P0", "IMG_001", "", "1")]
    found = find({"metadata.csv": table(HEADER, rows)})
    assert found.left_out == (
        ("IMG_900", "there is no such image (metadata.csv, line 8)"),
        (IMAGES[1], "no label in metadata.csv"),
        (IMAGES[0], "no row in metadata.csv"),
    )
    assert len(found.rows) == 6


def test_rows_that_differ_are_left_out_and_repeated_ones_are_not():
    rows = [*ROWS, ROWS[0], ("P0", "IMG_001", "mel", "41")]
    found = find({"metadata.csv": table(HEADER, rows)})
    assert found.left_out == ((IMAGES[1], "its rows in metadata.csv differ"),)


def test_numbers_are_one_class_however_they_are_written():
    spelled = ["1", "1.0", "0", "0.0", "1", "1.00", "0", "2"]
    rows = list(zip(IMAGES, spelled, strict=True))
    assert set(given(find({"labels.csv": table(("file", "label"), rows)})).values()) == {
        "0", "1", "2",
    }  # fmt: skip


@pytest.mark.parametrize("separator", [",", " "])
def test_a_table_without_a_header_is_read(separator):
    header, *rows = zip(IMAGES, LABELS, strict=True)
    found = find({"val.txt": table(header, rows, separator)})
    assert (found.columns.image, list(given(found).values())) == ("column 1", LABELS)


def test_words_are_taken_where_numbers_say_the_same():
    rows = [(path, LABELS.index(label), label) for path, label in zip(IMAGES, LABELS, strict=True)]
    found = find({"labels.csv": table(("path", "label", "class name"), rows)})
    assert found.columns.labels == ("class name",)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (("file", "sex", "site"),
         [(p, "mf"[n % 2], "ab"[n % 3 == 0]) for n, p in enumerate(IMAGES)],
         "label: sex (m, f), site (a, b)"),
        (("file", "target", "diagnosis"),
         [(p, "01"[n % 2], "ab"[n % 3 == 0]) for n, p in enumerate(IMAGES)],
         "label: target (0, 1), diagnosis (a, b)"),
        (("file", "other", "label"), [(p, IMAGES[-n], "ab"[n % 2]) for n, p in enumerate(IMAGES)],
         None),
        (("one", "other", "label"), [(p, IMAGES[-n], "ab"[n % 2]) for n, p in enumerate(IMAGES)],
         "image: one (images/IMG_000.jpg, images/IMG_001.jpg, images/IMG_002.jpg, ...), "
         "other (images/IMG_000.jpg, images/IMG_007.jpg, images/IMG_006.jpg, ...)"),
        (("file", "label", "patient", "video"),
         [(p, "ab"[n % 2], n // 2, n % 3) for n, p in enumerate(IMAGES)],
         "group: patient (0, 1, 2, ...), video (0, 1, 2)"),
    ],
)  # fmt: skip
def test_columns_that_fit_equally_well_are_refused(header, rows, message):
    if message is None:
        assert find({"t.csv": table(header, rows)}).columns.image == "file"
        return
    with pytest.raises(InputError) as error:
        find({"t.csv": table(header, rows)})
    assert f"t.csv: several columns may be the {message}; give one by --" in str(error.value)


def test_options_decide():
    rows = [(p, p, "mf"[n % 2], "ab"[n % 3 == 0], n % 2) for n, p in enumerate(IMAGES)]
    data = {"t.csv": table(("file", "path", "sex", "site", "hand"), rows)}
    found = find(data, image="Path", label="site", group="hand")
    assert (found.columns.image, found.columns.labels, found.columns.group) == (
        "path", ("site",), "hand",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"--label .* must be one of its columns, file, path, sex"):
        find(data, label="dx")


def test_several_tables_are_refused_unless_they_say_the_same_or_share_the_images():
    pairs = list(zip(IMAGES, LABELS, strict=True))
    one = table(("image", "label"), pairs)
    other = table(("image", "label"), zip(IMAGES, reversed(LABELS), strict=True))
    with pytest.raises(InputError, match=r"several tables may hold the labels: a\.csv .*; b\.csv"):
        find({"a.csv": one, "b.csv": other})
    assert find({"a.csv": one, "b.csv": other}, labels="b.csv").tables == ("b.csv",)
    assert find({"a.csv": one, "metadata.csv": PLAIN}).tables == ("metadata.csv",)
    halves = {"train.csv": table(("image", "label"), pairs[::2]),
              "test.csv": table(("image", "label"), pairs[1::2])}  # fmt: skip
    found = find(halves)
    assert given(found) == dict(pairs)
    assert {row.split for row in found.rows.values()} == {"train", "test"}


def test_the_table_of_a_submission_and_companions_of_images_are_none():
    files = {
        "sample_submission.csv": table(("image", "label"), [(path, "nv") for path in IMAGES]),
        "images/IMG_001.txt": b"0 0.5 0.5 0.1 0.1\n",
        "README.txt": b"About the images\n",
        "package.json": b'{"name": "x", "version": 1}',
    }
    assert find(files) is None


def test_a_table_in_a_folder_is_of_the_images_there():
    """The form of Hugging Face's imagefolder, and Roboflow's."""
    images = [f"{split}/{n}.jpg" for split in ("train", "test") for n in range(4)]
    lines = [json.dumps({"file_name": f"{n}.jpg", "label": n % 2}) for n in range(4)]
    files = {f"{split}/metadata.jsonl": "\n".join(lines).encode() for split in ("train", "test")}
    found = find(files, images)
    assert [given(found)[image] for image in images] == ["0", "1", "0", "1"] * 2
    assert found.rows[PurePosixPath("test/0.jpg")].split == "test"


def test_equal_names_in_other_folders_are_not_confused():
    images = ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"]
    rows = [("x/a/1.jpg", "p"), ("x/b/1.jpg", "q"), ("x/a/2.jpg", "p"), ("x/b/2.jpg", "q")]
    assert list(given(find({"t.csv": table(("path", "label"), rows)}, images)).values()) == list(
        "pqpq"
    )
    found = find({"t.csv": table(("path", "label"), [("1", "p"), ("2", "q"), *rows])}, images)
    assert found.left_out[0] == ("1", "its name is that of 2 images (t.csv, line 2)")
    found = find(
        {"t.csv": table(("path", "label"), [("1", "p"), ("2", "q"), ("1", "q")])},
        images,
        labels="t.csv",
    )
    assert (len(found.rows), len(found.left_out)) == (0, 7)
    rows = [("train/1.jpg", "p"), ("test/1.jpg", "q"), ("train/2.jpg", "q"), ("train/3.jpg", "p")]
    found = find(
        {"t.csv": table(("path", "label"), rows)}, ["train/1.jpg", "train/2.jpg", "train/3.jpg"]
    )
    assert given(found) == {"train/1.jpg": "p", "train/2.jpg": "q", "train/3.jpg": "p"}


def test_coco_and_label_studio_are_read():
    category = {label: LABELS.index(label) for label in LABELS}
    annotated = [*enumerate(LABELS), (0, "mel")]
    coco = {
        "images": [{"id": n, "file_name": path, "width": 64} for n, path in enumerate(IMAGES)],
        "annotations": [{"image_id": n, "category_id": category[name]} for n, name in annotated],
        "categories": [{"id": number, "name": name} for name, number in category.items()],
    }
    found = find({"annotations/instances.json": json.dumps(coco).encode()})
    assert list(given(found).values()) == LABELS[1:]
    assert found.left_out == ((IMAGES[0], "several labels in annotations/instances.json"),)
    result = [{"from_name": "choice", "value": {"choices": ["nv"]}}]
    tasks = [
        {"id": n, "data": {"image": f"/data/upload/1/0a1b2c3d-{PurePosixPath(path).name}"},
         "annotations": [{"result": [{**result[0], "value": {"choices": [label]}}]}]}
        for n, (path, label) in enumerate(zip(IMAGES, LABELS, strict=True))
    ]  # fmt: skip
    found = find({"project-1.json": json.dumps(tasks).encode()})
    assert list(given(found).values()) == LABELS
    assert found.said == "project-1.json (Label Studio): images by image, labels by choice"
    minimal = [
        {"id": 1, "image": path, "choice": label}
        for path, label in zip(IMAGES, LABELS, strict=True)
    ]
    assert list(given(find({"min.json": json.dumps(minimal).encode()})).values()) == LABELS


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", b"image,label\nIMG_001,a\nIMG_002,b,c\n", "line 3 must have 2 fields, got 3"),
        ("t.csv", PLAIN[:-1].replace(b"bkl,47", b"b,4"), "may be cut off"),
        ("t.jsonl", b'{"file_name": "IMG_001.jpg", "label": 1}\n{"file', "line 2 must be a JSON"),
        ("t.json", b'{"images": [], "annotations": [3], "categories": []}', "expected an object"),
        ("t.jsonl", rb'{"file_name": "IMG_001.jpg", "label": "\ud800"}', "text that can be shown"),
        ("t.csv", b"image,label\nIMG_001,a\nIMG_002,a\n", "no column holds labels or groups"),
        ("t.csv", b"", "empty file"),
        ("t.csv", b"image,label\n", "has no rows"),
        ("t.csv", b"image,label\nx,a\ny,b\n", "no column names an image that is there"),
    ],
)
def test_what_is_no_table_of_labels_is_one_error(name, data, message):
    with pytest.raises(InputError, match=f"^{name}: .*{message}"):
        find({name: data}, labels=name)


def test_a_table_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(InputError, match=r"no table 'x.csv' lies in the folder; .*: metadata.csv"):
        find({"metadata.csv": PLAIN}, labels="x.csv")


def test_groups_may_be_in_a_table_of_their_own():
    """As the skin lesion challenges publish them: a truth of 0 and 1, and metadata."""
    truth = [
        (path, label == "nv", label != "nv") for path, label in zip(IMAGES, LABELS, strict=True)
    ]
    meta = [(path, 40 + n, f"L{n // 2}", "mf"[n % 2]) for n, path in enumerate(IMAGES)]
    files = {"Truth.csv": table(("image", "NV", "MEL"), truth),
             "Meta.csv": table(("image", "age", "lesion_id", "sex"), meta)}  # fmt: skip
    for wanted in ({}, {"labels": "*.csv", "label": "NV,MEL", "group": "lesion_id"}):
        found = find(files, **wanted)
        assert found.rows[PurePosixPath(IMAGES[3])] == labels.ImageRow("NV", "", "L1")
        assert found.said == (
            "Truth.csv: images by image, labels by NV, MEL, groups by lesion_id of Meta.csv"
        )


def test_several_labels_in_one_text_are_left_out():
    texts = ["a", "b", "a|b", "b; a", "a", "b", "c|d", "c|d"]
    found = find({"t.csv": table(("image", "label"), zip(IMAGES, texts, strict=True))})
    assert set(given(found).values()) == {"a", "b", "c|d"}
    assert [reason for _, reason in found.left_out] == ["several labels in t.csv"] * 2


def test_numbers_without_their_zeros_and_other_endings_name_an_image():
    images = [f"{n:04}.jpg" for n in range(8)]
    for text in ("{}", "{}.0", "{:04}.png"):
        rows = [(text.format(n), label) for n, label in enumerate(LABELS)]
        assert given(find({"t.csv": table(("id", "label"), rows)}, images)) == dict(
            zip(images, LABELS, strict=True)
        )
