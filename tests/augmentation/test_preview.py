"""A preview shows each entry of a policy on images of classes that would grow, and no more."""

import numpy as np
import pytest

from tests.cli.test_main import toolkit, tree
from toolkit.augmentation import contact_sheet, params, preview
from toolkit.augmentation.transforms import parsing
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.errors import InputError
from toolkit.io import images


def rows_of(policy, labels):
    return [(entry.transform, name) for entry, name in preview._entries_and_classes(policy, labels)]


def only(name):
    return params.ByClass(by_class={name: "homework"})


def test_there_is_a_row_for_each_entry_and_classes_take_turns():
    rows = rows_of(parsing.make_policy("homework"), ["a", "b"])
    assert [name for _, name in rows] == ["a", "b"] * 4
    assert [t for t, _ in rows] == [choice.transform for choice in POLICIES["homework"].entries]


def test_each_row_shows_an_image_of_its_class(photos, tmp_path, monkeypatch):
    labels = []
    monkeypatch.setattr(preview, "_row", lambda _folder, _size, drawn: drawn[0].label)
    monkeypatch.setattr(contact_sheet, "write_rows", lambda _, rows: labels.extend(rows))
    preview.write_preview(tmp_path / "p.png", photos, params.AugmentParams(), "homework")
    assert labels == ["b", "c"] * 4


def test_a_policy_of_one_entry_is_shown_on_six_images():
    assert rows_of(parsing.make_policy("randaugment"), ["a"]) == [("some_of", "a")] * 6


def test_classes_with_policies_of_their_own_have_rows_of_their_own():
    written = {"by_class": {"a": "duplicate"}, "otherwise": "trivialaugment"}
    policy = parsing.make_policy(params.ByClass.model_validate(written))
    rows = rows_of(policy, ["a", "b", "c"])
    assert rows[0] == ("identity", "a")
    assert {name for _, name in rows[1:]} == {"b", "c"}
    assert len(rows) == 15


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_has_a_preview_that_its_seed_decides(photos, tmp_path, name):
    sheets = []
    for seed in (0, 0, 1):
        settings = params.AugmentParams(target={"c": 7}, seed=seed)
        preview.write_preview(tmp_path / "p.png", photos, settings, name, size=16)
        sheets.append(images.read_image(tmp_path / "p.png"))
    assert np.array_equal(sheets[0], sheets[1])
    assert np.array_equal(sheets[1], sheets[2]) == (name == "duplicate")
    assert sheets[0].shape[1] == 6 * (96 + 10) + 20


def test_the_command_writes_the_sheet_and_nothing_else(tmp_path, photos):
    before = tree(tmp_path)
    (tmp_path / "mine.yaml").write_text("- {transform: rotate, limit: {rotation: 5}}\n")
    done = toolkit(tmp_path, "augment", photos, "--preview", "--policy", "mine.yaml")
    assert "preview.png: 6 originals and what the policy makes of them" in done.stderr
    assert tree(tmp_path).keys() - before.keys() == {"preview.png", "mine.yaml"}
    toolkit(tmp_path, "augment", photos, "--preview", "-o", "other.png", "--target", 13, "-q")
    assert (tmp_path / "other.png").is_file()
    toolkit(tmp_path, "augment", photos, "--preview", "-q")  # over its own sheet


def test_a_picture_of_a_persons_own_is_not_replaced(tmp_path, photos):
    (tmp_path / "preview.png").write_text("mine")
    done = toolkit(tmp_path, "augment", photos, "--preview", code=1)
    assert "preview.png: stands where the sheet preview.png goes" in done.stderr
    done = toolkit(tmp_path, "augment", photos, "--preview", "-o", "balanced", code=1)
    assert "--output must end in .png, got balanced" in done.stderr
    assert (tmp_path / "preview.png").read_text() == "mine"


def test_a_folder_without_images_is_said(tmp_path):
    (tmp_path / "photos").mkdir()
    for more in (["--preview"], ["-o", "out"]):
        done = toolkit(tmp_path, "augment", "photos", *more, code=1)
        assert done.stderr.startswith("error: photos: no class folder; expected")
    assert not (tmp_path / "out").exists()


def test_where_nothing_grows_classes_with_a_policy_are_shown(photos, tmp_path):
    settings, out = params.AugmentParams(target=1), tmp_path / "p.png"
    assert preview.write_preview(out, photos, settings, only("a")) == 8


def test_an_empty_class_is_not_shown(photos, tmp_path):
    (photos / "d").mkdir()
    settings = params.AugmentParams(target={"c": 6})
    with pytest.raises(InputError, match="photos: holds no image of a class that has a policy"):
        preview.write_preview(tmp_path / "p.png", photos, settings, only("d"))


def test_a_policy_that_lacks_a_class_is_said(photos, tmp_path):
    for name, message in (
        ("a", "nothing for class 'b'"),
        ("z", "unknown class in by_class .* 'z'"),
    ):
        with pytest.raises(InputError, match=message):
            preview.write_preview(tmp_path / "p.png", photos, params.AugmentParams(), only(name))
