"""Prepared folders: PNG files of one size, manifests that match them, duplicates in one split."""

import shutil
from collections import Counter

import pytest
from PIL import Image

from tests.conftest import fill
from tests.helpers import audits
from toolkit.checks import audit
from toolkit.checks.params import AuditParams
from toolkit.datasets import folders, params, prepare
from toolkit.errors import InputError
from toolkit.io import files, images, manifest
from toolkit.pipeline.steps import prepare as steps

ELSEWHERE = "its group, or a copy of it, lies in another split of the source"
COUNTS = {"counts": {"train": {"a": 5, "b": 3, "c": 2}, "valid": 2, "test": 2}}


def run(photos, output, processes=1, **settings):
    raw = folders.scan(photos)
    result = audit.run_checks(raw, photos, AuditParams(), output.parent / "work")
    return prepare.write_splits(
        raw,
        photos,
        output,
        params.PrepareParams.model_validate({"size": 16, "split": COUNTS, **settings}),
        selection=prepare.Selection(result.dropped, result.grouped),
        processes=processes,
    )


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_counts_size_and_hashes(photos, tmp_path):
    run(photos, tmp_path / "out")
    for split, counts in (("train", {"a": 5, "b": 3, "c": 2}), ("test", {"a": 2, "b": 2, "c": 2})):
        written = manifest.read_manifest(tmp_path / "out" / split)
        assert written.counts(split) == counts
        for sample in written.samples:
            path = tmp_path / "out" / split / sample.path
            assert files.sha256(path) == manifest.content_hash(sample)
            assert images.read_image(path).shape == (16, 16, 3)


def test_a_prepared_file_is_named_after_its_raw_image(photos, tmp_path):
    raw = {s.id[:16] for s in folders.scan(photos).samples}
    splits = run(photos, tmp_path / "out")
    assert {p.path[2:18] for part in splits.values() for p in part.samples} <= raw


def test_the_same_bytes_again_and_with_any_number_of_workers(photos, tmp_path):
    for name, processes in (("one", 1), ("two", 2), ("again", 1)):
        run(photos, tmp_path / name, processes)
    assert tree(tmp_path / "one") == tree(tmp_path / "two") == tree(tmp_path / "again")


def test_duplicates_share_a_split_and_a_group(photos, tmp_path):
    for k in range(3):
        pixels = images.read_image(photos / "a" / f"00{k}.png")
        Image.fromarray(pixels).save(photos / "a" / f"copy{k}.bmp")
    for seed in range(5):
        splits = run(photos, tmp_path / "out", seed=seed)
        groups = [{s.group for s in part.samples} for part in splits.values()]
        assert not (groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2])


def test_a_broken_image_is_left_out(photos, tmp_path):
    broken = photos / "c" / "000.png"
    broken.write_bytes(broken.read_bytes()[:-30])
    with pytest.raises(InputError, match="class 'c' has 5 usable images, but 6 were requested"):
        run(photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_changed_since_the_manifest_is_named(photos, tmp_path):
    raw = folders.scan(photos)
    audit.run_checks(raw, photos, AuditParams(), tmp_path / "work")
    for number in range(1, 12):
        shutil.copy(photos / "a" / "000.png", photos / "a" / f"{number:03d}.png")
    chosen = params.PrepareParams.model_validate({"size": 16, "split": COUNTS})
    with pytest.raises(InputError, match=r"a/0\d\d\.png: changed since the manifest was written"):
        prepare.write_splits(raw, photos, tmp_path / "out", chosen)


def test_it_is_done_again_over_its_own_output(photos, tmp_path):
    run(photos, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "valid")
    run(photos, tmp_path / "out")
    assert (tmp_path / "out" / "valid" / "manifest.csv").is_file()


def test_near_duplicates_share_a_split_even_through_exact_ones(photos, tmp_path):
    """near -> exact -> near: the two ends need not agree with each other."""
    pixels = images.read_image(photos / "a" / "000.png")
    (photos / "a" / "again.png").write_bytes((photos / "a" / "000.png").read_bytes())
    Image.fromarray(pixels[:, ::-1]).save(photos / "a" / "mirrored.png")
    Image.fromarray(pixels).resize((40, 40)).save(photos / "a" / "small.png")
    family = {"a/000.png", "a/again.png", "a/mirrored.png", "a/small.png"}
    raw = folders.scan(photos)
    ids = {s.id.split("-")[0][:16] for s in raw.samples if s.path in family}
    for seed in range(4):
        splits = run(photos, tmp_path / "out", seed=seed)
        holding = [
            name for name, part in splits.items()
            if any(p.path.split("/")[1][:16] in ids for p in part.samples)
        ]  # fmt: skip
        assert len(holding) <= 1


def test_several_files_that_cannot_be_used_are_one_message_with_their_number(photos, tmp_path):
    raw = folders.scan(photos)
    for name in ("a/000.png", "a/001.png", "b/000.png"):
        (photos / name).write_bytes((photos / name).read_bytes()[:60])
    settings = params.PrepareParams.model_validate(
        {"size": 16, "split": {"fractions": {"train": 0.98, "valid": 0.01, "test": 0.01}}}
    )
    with pytest.raises(InputError, match=r"3 files are not used, of \d+: damaged image \(3\)"):
        prepare.write_splits(raw, photos, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_images_in_no_split_are_listed_with_their_reason(tmp_path):
    folder = audits.fill(tmp_path / "x", {"train/a": 9, "train/b": 9, "test/a": 3, "test/b": 3})
    shutil.copy(folder / "test/a/000.png", folder / "train/a/copy.png")
    written = run(folder, tmp_path / "source", split="source")
    assert manifest.read_manifest(tmp_path / "source" / "train").notes["left_out"] == [
        {"path": "train/a/copy.png", "reason": ELSEWHERE}
    ]
    assert sum(len(part.samples) for part in written.values()) == 24
    written = run(folder, tmp_path / "few", split={"counts": {"train": 4, "valid": 2, "test": 3}})
    left_out = written["train"].notes["left_out"]
    assert len(left_out) == 25 - 18
    assert {entry["reason"] for entry in left_out} == {
        ELSEWHERE,
        "more than prepare.split asks for",
    }


def test_what_is_cut_from_train_and_left_out_before_is_noted(tmp_path):
    folder = audits.fill(tmp_path / "x", {"train/a": 9, "train/b": 9, "val/a": 3, "val/b": 3})
    (folder / "train/a/notes.txt").write_text("no image")
    made = steps.prepare(folder, tmp_path / "out", size=16)
    assert {name: len(part.samples) for name, part in made.splits.items()} == {
        "train": 14, "valid": 6, "test": 4
    }  # fmt: skip
    assert made.cut == [
        "there is no test split: 4 images of train become test (prepare.test_fraction)"
    ]
    assert [entry["path"] for entry in made.left_out] == ["train/a/notes.txt"]
    assert manifest.read_manifest(tmp_path / "out" / "train").notes == made.splits["train"].notes


def test_folds_keep_all_images_in_train_and_test_lists_them_again(photos, tmp_path):
    splits = run(photos, tmp_path / "out", split={"folds": 3, "repeats": 2})
    assert splits["train"].counts() == splits["test"].counts() == {"a": 12, "b": 8, "c": 6}
    assert not splits["valid"].samples
    for division in range(2):
        counts = Counter((s.label, s.folds[division]) for s in splits["train"].samples)
        assert len(counts) == 9
        assert {n for (label, _), n in counts.items() if label == "c"} == {2}
    written = manifest.read_manifest(tmp_path / "out" / "test")
    assert [s.folds for s in written.samples] == [s.folds for s in splits["train"].samples]
    for sample in written.samples:
        path = tmp_path / "out" / "test" / sample.path
        assert files.sha256(path) == manifest.content_hash(sample)


def test_the_sources_test_images_and_their_copies_lie_in_no_fold(tmp_path):
    place = fill(tmp_path / "photos", {f"{s}/{c}": 6 for s in ("train", "test") for c in "ab"})
    shutil.copy(place / "test/a/000.png", place / "train/a/copy.png")
    splits = run(place, tmp_path / "out", split={"folds": 2, "repeats": 1})
    assert splits["train"].counts() == {"a": 6, "b": 6}
    own = [sample for sample in splits["test"].samples if not sample.folds]
    assert Counter(sample.label for sample in own) == {"a": 6, "b": 6}
    assert {"path": "train/a/copy.png", "reason": ELSEWHERE} in splits["train"].notes["left_out"]


def test_a_class_with_fewer_images_than_folds_names_the_setting(photos, tmp_path):
    with pytest.raises(InputError, match=r"prepare.split.folds: class 'c' has 6 different images"):
        run(photos, tmp_path / "out", split={"folds": 7})
    assert not (tmp_path / "out").exists()


def test_a_class_that_near_duplicates_leave_two_pictures_of_is_left_out_in_words(tmp_path):
    """`init` cannot know: it took four files of c."""
    folder = audits.fill(tmp_path / "x", {"a": 9, "b": 9, "c": 2})
    for name in ("000", "001"):
        picture = Image.open(folder / f"c/{name}.png")
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"c/{name}m.png")
    splits = run(folder, tmp_path / "out", split="auto")
    assert [part.classes for part in splits.values()] == [("a", "b")] * 3
    notes = splits["train"].notes
    assert [entry["path"] for entry in notes["left_out"]] == [
        "c/000.png", "c/000m.png", "c/001.png", "c/001m.png"
    ]  # fmt: skip
    assert notes["left_out"][0]["reason"] == "its class, 'c', cannot lie in every split"
    (said,) = notes["cut"]
    assert said.startswith(
        "class 'c' is left out, for no split may lack a class: 4 images of 2 groups that stay whole"
    )


def test_near_duplicates_that_leave_fewer_pictures_than_folds_lower_the_folds(tmp_path):
    """`init` counted three files of b."""
    folder = audits.fill(tmp_path / "x", {"a": 9, "b": 2})
    picture = Image.open(folder / "b/000.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "b/mirrored.png")
    splits = run(folder, tmp_path / "out", split={"folds": 3, "repeats": 1})
    assert {sample.folds[0] for sample in splits["train"].samples} == {0, 1}
    assert splits["train"].notes["cut"] == [
        "near-duplicates leave a class 2 different pictures: 2 folds instead of 3 "
        "(prepare.split.folds)"
    ]
