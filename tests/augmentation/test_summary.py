"""The new images counted by transform, the most changed first, written and described."""

import json

import pytest

from toolkit.augmentation import params, render, summary
from toolkit.augmentation.journal import JournalEntry
from toolkit.augmentation.params import EntryParams
from toolkit.augmentation.summary import Tally
from toolkit.io.manifest import Sample

PARENT = Sample("p" * 64, "a/1.png", "a")


def entry(number, transform="rotate", **options):
    values = {"identical": False, "change": 10.0, "moved": 5.0, "near_duplicate": False} | options
    return JournalEntry(number, transform, '{"angle": 1}', 7, "f" * 64, **values)


def tally(*entries):
    counts = Tally()
    for each in entries:
        counts.add(PARENT, f"id{each.number}", f"a/new-{each.number}.png", each)
    return counts.report()


def test_it_counts_all_and_each_transform():
    report = tally(
        entry(1),
        entry(2, change=20.0, near_duplicate=True),
        entry(3, "flip", identical=True, near_duplicate=True, change=0.0),
    )
    assert report.all.to_json() == {
        "new": 3, "distinct": 1, "near_duplicates": 2, "identical": 1, "change": 10.0,
    }  # fmt: skip
    assert {name: part.change for name, part in report.transforms.items()} == {
        "flip": 0.0,
        "rotate": 15.0,
    }


def test_an_image_of_a_group_counts_for_each_transform_in_it():
    steps = [{"transform": t, "params": {}} for t in ("equalize", "shear_x", "equalize")]
    chains = [{"weight": 0.5, "steps": steps[:1]}, {"weight": 0.2, "steps": steps}]
    report = tally(
        entry(1, "some_of")._replace(params=json.dumps({"steps": steps})),
        entry(2, "mix")._replace(params=json.dumps({"original": 0.3, "chains": chains})),
        entry(3, "some_of", near_duplicate=True)._replace(params=json.dumps({"steps": steps[:1]})),
    )
    assert {name: part.new for name, part in report.transforms.items()} == {
        "mix": 1, "mix: equalize": 1, "mix: shear_x": 1,
        "some_of": 2, "some_of: equalize": 2, "some_of: shear_x": 1,
    }  # fmt: skip
    assert report.all.new == 3
    assert report.transforms["some_of: equalize"].near_duplicates == 1


def test_the_most_changed_of_every_transform_come_first():
    entries = [entry(n, "crop", moved=50.0 + n) for n in range(1, 21)]
    entries += [entry(21, "rotate", moved=9.0), entry(22, "blur", moved=0.0)]
    changed = tally(*entries).most_changed
    assert [(c.child.transform, c.moved) for c in changed][:3] == [
        ("crop", 70.0), ("rotate", 9.0), ("crop", 69.0),
    ]  # fmt: skip
    assert len(changed) == summary.MOST
    assert changed[0].child.params == {"angle": 1}
    assert changed[0].parent == PARENT


def test_it_is_described_in_short():
    assert summary.describe_report(tally(entry(1), entry(2, near_duplicate=True))) == [
        "2 new images: 1 distinct, 1 near-duplicates of their original or of one another",
        "  rotate: 2 new, 1 near-duplicates, 0 identical, mean change 10.0",
    ]
    assert summary.describe_report(tally()) == []
    assert summary.describe_report(tally(entry(1)))[0] == "1 new images: 1 distinct"


def test_it_is_written_with_the_ids_of_the_most_changed(tmp_path):
    summary.write_report(tmp_path / "s.json", tally(entry(1)))
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["distinct"] == data["transforms"]["rotate"]["new"] == 1
    assert [(c["id"], c["path"], c["moved"]) for c in data["most_changed"]] == [
        ("id1", "a/new-1.png", 5.0)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_300_images_that_are_60_are_recognized(photos, tmp_path, workers):
    """Plain copies are near-duplicates, whatever the number of workers."""
    settings = params.AugmentParams(target=15)
    duplicate = render.augment_folder(
        photos, tmp_path / "d", settings, "duplicate", workers=workers
    )
    assert duplicate.report.all.to_json() == {
        "new": 19, "distinct": 0, "near_duplicates": 19, "identical": 19, "change": 0.0,
    }  # fmt: skip
    flip = [EntryParams(transform="horizontal_flip", arguments={"p": 1.0})]
    flipped = render.augment_folder(photos, tmp_path / "f", settings, flip, workers=workers)
    assert flipped.report.all.distinct == 3 + 7 + 6  # the second flip of an original is none
    assert flipped.report.all.identical == 0
