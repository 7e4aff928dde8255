"""The table that every stage reads and writes refuses leaks and survives a round trip."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import manifest
from toolkit.errors import InputError
from toolkit.manifest import Manifest, Sample

PARENT = Sample("p", "a/p.png", "a", "train", "g")
CHILD = Sample("c", "a/c.png", "a", "train", "g", "p", "rotate", {"angle": -3.25}, 7)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_what_is_written_is_read_back(tmp_path):
    written = Manifest(("a", "b"), (PARENT, CHILD), {"size": 32})
    manifest.write(tmp_path, written)
    assert manifest.read(tmp_path) == written


@given(
    label=texts,
    name=texts,
    params=st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False)),
)
def test_any_names_and_numbers_survive(tmp_path_factory, label, name, params):
    parent = Sample("p", f"x/{name}", label)
    child = replace(CHILD, label=label, split="", params=params)
    folder = tmp_path_factory.mktemp("m")
    manifest.write(folder, Manifest((label,), (parent, child)))
    assert manifest.read(folder).samples == (parent, child)


def test_a_class_without_images_is_kept(tmp_path):
    manifest.write(tmp_path, Manifest(("a", "b"), (PARENT,)))
    assert manifest.read(tmp_path).counts("train") == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ((PARENT, PARENT), "id 'p' stands more than once"),
        ((PARENT, replace(PARENT, id="q")), "path 'a/p.png' stands more than once"),
        ((replace(PARENT, label="z"),), r"label must be one of \['a', 'b'\], got 'z'"),
        ((replace(PARENT, split="dev"),), "split must be one of .* got 'dev'"),
        ((replace(PARENT, path="/etc/passwd"),), "path must be relative"),
        ((CHILD,), "its parent 'p' is not in the manifest"),
        ((PARENT, replace(CHILD, label="b")), "must share split and label"),
        ((PARENT, replace(CHILD, split="")), "must share split and label"),
        ((replace(PARENT, split="test"), replace(CHILD, split="test")), "must be in train"),
    ],
)
def test_leaks_and_errors_cannot_be_written_down(samples, message):
    with pytest.raises(InputError, match=message):
        Manifest(("a", "b"), samples)


def test_classes_must_be_alphabetical():
    with pytest.raises(InputError, match="alphabetical"):
        Manifest(("b", "a"), ())


def test_equal_files_get_ids_of_their_own():
    assert manifest.unique_ids(["x", "y", "x", "x"]) == ["x", "y", "x-2", "x-3"]
    assert manifest.content_hash(replace(PARENT, id="x-3")) == "x"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,path\n", "columns must be id,path,label"),
        (",".join(manifest.COLUMNS) + "\n1,2\n", "line 2 must have 9 fields, got 2"),
        (",".join(manifest.COLUMNS) + "\np,a/p,a,,,,,{bad,\n", "manifest.csv: "),
        ("", "columns must be"),
    ],
)
def test_a_damaged_table_is_refused_by_name(tmp_path, table, message):
    manifest.write(tmp_path, Manifest(("a",), ()))
    (tmp_path / "manifest.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        manifest.read(tmp_path)


def test_a_missing_manifest_says_what_writes_it(tmp_path):
    with pytest.raises(InputError, match=r"no such file; run the stage"):
        manifest.read(tmp_path)
