"""The table that every stage reads and writes refuses leaks and survives a round trip."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.flips import flipped, forge
from tests.helpers.naughty import TEXTS
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.io.manifest import Manifest, Sample

PARENT = Sample("p", "a/p.png", "a", "train", "g")
CHILD = Sample("c", "a/c.png", "a", "train", "g", "p", "rotate", {"angle": -3.25}, 7)

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda text: text not in (".", ".."))


def test_a_manifest_reads_back(tmp_path):
    written = Manifest(("a", "b"), (PARENT, CHILD), {"size": 32})
    manifest.write_manifest(tmp_path, written)
    assert manifest.read_manifest(tmp_path) == written


def test_weights_are_a_column_only_where_images_differ_in_them(tmp_path):
    heavy = replace(PARENT, id="h", path="a/h.png", weight=0.1, folds=(1, 0))
    samples = (replace(PARENT, folds=(0, 0), group="x"), heavy, replace(PARENT, id="t", path="t"))
    written = Manifest(("a",), samples)
    manifest.write_manifest(tmp_path, written)
    assert manifest.read_manifest(tmp_path) == written
    assert (*written.columns[-3:],) == ("weight", "fold_1", "fold_2")
    assert Manifest(("a",), (PARENT,)).columns == manifest.COLUMNS


@given(
    label=texts,
    name=texts,
    params=st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False)),
)
def test_any_names_and_numbers_survive(tmp_path_factory, label, name, params):
    parent = Sample("p", f"x/{name}", label)
    child = replace(CHILD, label=label, split="", params=params)
    folder = tmp_path_factory.mktemp("m")
    manifest.write_manifest(folder, Manifest((label,), (parent, child)))
    assert manifest.read_manifest(folder).samples == (parent, child)


def test_a_class_without_images_is_kept(tmp_path):
    manifest.write_manifest(tmp_path, Manifest(("a", "b"), (PARENT,)))
    assert manifest.read_manifest(tmp_path).counts("train") == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ((PARENT, PARENT), "id 'p' is more than once"),
        ((PARENT, replace(PARENT, id="q")), "path 'a/p.png' is more than once"),
        ((replace(PARENT, label="z"),), r"label must be one of \['a', 'b'\], got 'z'"),
        ((replace(PARENT, split="dev"),), "split must be one of .* got 'dev'"),
        ((replace(PARENT, path="/etc/passwd"),), "'/etc/passwd' must be relative"),
        ((replace(PARENT, path="C:\\x"),), "must be relative"),
        ((replace(PARENT, path="a/\0"),), "must be relative"),
        ((replace(PARENT, path="a/\ud800"),), "is not UTF-8"),
        ((replace(PARENT, path="a/../../x"),), "'a/../../x' leads out with"),
        ((replace(PARENT, path="../a/../x"),), "leads out with"),
        ((PARENT, replace(CHILD, path="../x")), r"manifest row '../x': .* leads out with"),
        *(
            ((replace(PARENT, path=path),), "the path must be in normal form and name a file")
            for path in ("", ".", "a/", "a//b", "./a", "a/./b")
        ),
        ((replace(PARENT, path=".."),), "leads out with"),
        ((replace(PARENT, id="../../x"),), r"id must be a sha256, got '\.\./\.\./x'"),
        *(
            ((replace(PARENT, weight=weight),), "weight must be a number above 0, got")
            for weight in (0.0, -1.0, float("nan"), float("inf"))
        ),
        ((CHILD,), "its parent 'p' is not in the manifest"),
        ((PARENT, replace(CHILD, label="b")), "must share split and label"),
        ((PARENT, replace(CHILD, split="")), "must share split and label"),
        ((replace(PARENT, split="test"), replace(CHILD, split="test")), "must be in train"),
    ],
)
def test_leaks_and_errors_are_refused(samples, message):
    with pytest.raises(InputError, match=message):
        Manifest(("a", "b"), samples)


def test_classes_must_be_alphabetical():
    with pytest.raises(InputError, match="alphabetical"):
        Manifest(("b", "a"), ())


@pytest.mark.parametrize("label", ["", ".", "..", "a/b", "../up", "a\0", "\ud800", "x" * 256])
def test_a_class_must_be_a_folder_name(label):
    with pytest.raises(InputError, match="the name of a class must be a valid folder name"):
        Manifest((label,), ())


def test_naughty_names_read_back(tmp_path):
    names = tuple(sorted(name for name in TEXTS if manifest.is_file_name(name)))
    samples = tuple(Sample(f"i{n}", f"{name}/{name}", name) for n, name in enumerate(names))
    manifest.write_manifest(tmp_path, Manifest(names, samples))
    assert manifest.read_manifest(tmp_path).samples == samples


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"classes": "ab"}', "classes must be a list of names"),
        ('{"classes": [1]}', "classes must be a list of names"),
        ("[]", "classes must be a list of names"),
        ('{"classes": ["a"], "notes": []}', "notes.rejected must list"),
        ('{"classes": ["a"], "notes": {"rejected": [1]}}', "notes.rejected must list"),
        ('{"classes": ["a"], "notes": {"x": NaN}}', "NaN is not a JSON number"),
        ('{"classes": ["a"], "tables": []}', "tables must be file names with their sha256"),
        ('{"classes": ["a"], "nodes": {}}', "the keys must be classes, notes, tables, got 'nodes'"),
        ('{"classes": ["a"], "sha256": ""}', "changed since it was written"),
        ("\xff", "manifest.json: "),
    ],
)
def test_a_damaged_sidecar_is_refused(tmp_path, side, message):
    manifest.write_manifest(tmp_path, Manifest(("a",), (PARENT,)))
    (tmp_path / "manifest.json").write_bytes(side.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        manifest.read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.json"])
def test_every_one_of_many_flipped_bits_is_noticed(tmp_path, name):
    manifest.write_manifest(tmp_path, Manifest(("a", "b"), (PARENT, CHILD), {"size": 32}))
    for data in flipped((tmp_path / name).read_bytes(), 200):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=r"manifest\.(csv|json): "):
            manifest.read_manifest(tmp_path)


def test_a_manifest_without_hashes_may_be_of_another_tool(tmp_path):
    manifest.write_manifest(tmp_path, Manifest(("a", "b"), (PARENT,)))
    (tmp_path / "manifest.json").write_text('{"classes": ["a", "b"]}')
    table = (tmp_path / "manifest.csv").read_text()
    (tmp_path / "manifest.csv").write_text(table.replace("train", "valid"))
    assert manifest.read_manifest(tmp_path).samples == (replace(PARENT, split="valid"),)


def test_equal_files_have_distinct_ids():
    assert manifest.unique_ids(["x", "y", "x", "x"]) == ["x", "y", "x-2", "x-3"]
    assert manifest.content_hash(replace(PARENT, id="x-3")) == "x"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,path\n", "columns must be id,path,label"),
        (",".join(manifest.COLUMNS) + "\n1,2\n", "line 2 must have 9 fields, got 2"),
        (",".join(manifest.COLUMNS) + "\np,a/p,a,,,,,{bad,\n", "manifest.csv: "),
        (",".join(manifest.COLUMNS) + "\np,a/p,a,,,,,[1],\n", "params must be a JSON object"),
        (",".join(manifest.COLUMNS) + "\np,a/p,a,,,,,{},1e9\n", "invalid literal"),
        ("", "columns must be"),
    ],
)
def test_a_damaged_table_is_refused_by_name(tmp_path, table, message):
    manifest.write_manifest(tmp_path, Manifest(("a",), ()))
    forge(tmp_path, table)
    with pytest.raises(InputError, match=message):
        manifest.read_manifest(tmp_path)


def test_originals_may_lie_elsewhere_only_where_they_are_not_copied(tmp_path):
    linked = Manifest(("a",), (replace(PARENT, path="../../train/a/p.png"),))
    manifest.write_manifest(tmp_path, linked)
    assert manifest.read_manifest(tmp_path) == linked
    message = r"manifest\.csv: manifest row '\.\./\.\./train/a/p\.png': .* leads out with"
    with pytest.raises(InputError, match=message):
        manifest.read_manifest(tmp_path, inside_only=True)


def test_a_missing_manifest_names_the_remedy(tmp_path):
    with pytest.raises(InputError, match=r"no such file; name a folder that the toolkit wrote"):
        manifest.read_manifest(tmp_path)


def test_folds_read_back_and_images_beside_them_have_none(tmp_path):
    divided = [replace(sample, folds=(0, 3)) for sample in (PARENT, CHILD)]
    beside = Sample("t", "a/t.png", "a", "test", "t")
    written = Manifest(("a",), (*divided, beside))
    manifest.write_manifest(tmp_path, written)
    assert (tmp_path / "manifest.csv").read_text().splitlines()[0].endswith("seed,fold_1,fold_2")
    assert manifest.read_manifest(tmp_path) == written


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(CHILD, folds=(1,)), r"must share its parent's folds, \(0,\), got \(1,\)"),
        (Sample("q", "a/q.png", "a", "train", "g", folds=(1,)), "its group lies in the folds"),
        (Sample("q", "a/q.png", "a", "train", "h", folds=(0, 1)), "must have 1 folds"),
        (Sample("q", "a/q.png", "a", "train", "h", folds=(-1,)), "numbered from 0"),
    ],
)
def test_a_leak_between_folds_cannot_be_written_down(other, message):
    with pytest.raises(InputError, match=message):
        Manifest(("a",), (replace(PARENT, folds=(0,)), other))
