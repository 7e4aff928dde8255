"""Files that are not images or are damaged are flagged, and what the names of files say."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audits
from toolkit.checks import audit, params
from toolkit.datasets import folders
from toolkit.datasets.params import ReadParams
from toolkit.io import images


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 6, "b": 6})


def image(size=(48, 48), seed=9):
    pixels = audits.picture(np.random.default_rng(seed), max(size))
    return Image.fromarray(pixels).crop((0, 0, *size))


def saved(form, size=(48, 48), **options):
    stream = io.BytesIO()
    image(size).save(stream, form, **options)
    return stream.getvalue()


def test_an_empty_file_is_distinguished_from_one_that_is_not_an_image(photos):
    (photos / "a" / "x.png").touch()
    (photos / "a" / "notes.txt").write_text("hello")
    flagged = audits.flagged(audits.run(photos))
    assert flagged == {"empty": ["a/x.png"], "not_an_image": ["a/notes.txt"]}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM"])
def test_a_truncated_image_is_dropped(photos, form):
    data = saved(form)
    path = f"a/x.{form.lower()}"
    (photos / path).write_bytes(data[: len(data) * 2 // 3])
    (finding,) = audits.run(photos).findings
    assert (finding.check, finding.action, finding.paths) == ("truncated", "drop", (path,))
    assert finding.drop == finding.samples != ()


def test_a_damaged_image_is_unreadable(photos):
    data = bytearray(saved("PNG"))
    data[60] ^= 255
    (photos / "a" / "x.png").write_bytes(data)
    (finding,) = audits.run(photos).findings
    assert finding.check in ("unreadable", "truncated")
    assert finding.drop


def test_a_link_and_an_image_beyond_the_limits_are_unreadable(photos):
    (photos / "a" / "link.png").symlink_to("000.png")
    (photos / "b" / "large.png").write_bytes(saved("PNG", (200, 100)))
    result = audits.run(photos, limits={"pixels": 19_999})
    assert audits.flagged(result) == {"unreadable": ["a/link.png", "b/large.png"]}
    assert "200 x 100 pixels are more than 19,999" in [f.message for f in result.findings]


@pytest.mark.parametrize(
    ("form", "name", "wrong"),
    [
        ("PNG", "x.jpg", True),
        ("JPEG", "x.JPG", False),
        ("JPEG", "x.jfif", False),
        ("WEBP", "x.png", True),
        ("GIF", "x", False),
        ("PPM", "x.pgm", False),
    ],
)
def test_the_extension_of_another_format_is_flagged(photos, form, name, wrong):
    (photos / "a" / name).write_bytes(saved(form))
    flagged = audits.flagged(audits.run(photos)).get("wrong_extension", [])
    assert flagged == ([f"a/{name}"] if wrong else [])


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_or_pages_are_flagged(photos, form):
    data = saved(form, save_all=True, append_images=[image(seed=8)])
    (photos / "a" / f"several.{form.lower()}").write_bytes(data)
    (photos / "a" / f"one.{form.lower()}").write_bytes(saved(form))
    flagged = audits.flagged(audits.run(photos))["animated"]
    assert flagged == [f"a/several.{form.lower()}"]


def test_a_second_frame_that_is_damaged_does_not_lose_the_first(photos):
    data = saved("GIF", save_all=True, append_images=[image(seed=8)])
    cut = data[: len(data) * 3 // 4]
    (photos / "a" / "x.gif").write_bytes(cut)
    assert images.decode(cut).shape == (48, 48, 3)
    assert not any(finding.drop for finding in audits.run(photos).findings)


def test_enormous_and_tiny_have_thresholds(photos):
    (photos / "a" / "large.png").write_bytes(saved("PNG", (300, 200)))
    (photos / "a" / "small.png").write_bytes(saved("PNG", (80, 20)))
    result = audits.run(photos, thresholds={"enormous": 0.05, "tiny": 21, "odd_aspect": 5})
    assert audits.flagged(result) == {"enormous": ["a/large.png"], "tiny": ["a/small.png"]}
    assert (result.checks["enormous"].score, result.checks["tiny"].score) == (0.06, 20)
    assert result.checks["tiny"].meaning == "shorter side under 21 pixels"


def test_a_file_check_may_drop(photos):
    (photos / "a" / "small.png").write_bytes(saved("PNG", (20, 20)))
    result = audits.run(photos, tiny="drop")
    (finding,) = result.findings_of("tiny")
    assert finding.drop == finding.samples
    assert len(finding.samples) == 1


# --- names ------------------------------------------------------------------------------------


def test_masks_beside_images_are_one_finding_with_the_pattern_that_leaves_them_out(photos):
    for path in sorted(photos.glob("?/*.png")):
        pixels = np.zeros((48, 48), np.uint8)
        pixels[int(path.stem) : 20] = 255
        Image.fromarray(pixels).save(path.with_suffix(".bmp"))
    result = audits.run(photos)
    (finding,) = result.findings_of("companions")
    assert finding.action == "warn"
    assert len(finding.paths) == 12
    assert "as a/000.bmp does with a/000.png" in finding.message
    assert "set fetch.leave_out to ['*.bmp']" in finding.message
    assert len(audits.run(photos, companions="drop").dropped) == 12


@pytest.fixture
def patients(photos):
    """Six patients with two pictures each, in two classes."""
    for path in sorted(photos.glob("?/*.png")):
        patient, view = divmod(int(path.stem), 2)
        path.rename(path.with_name(f"{path.parent.name}{patient}_view{view}.png"))
    return photos


def test_names_that_look_like_groups_are_one_finding_with_the_setting(patients):
    (finding,) = audits.run(patients).findings_of("name_groups")
    assert "look like 6 groups" in finding.message
    assert "'a0' has 2 images" in finding.message
    assert "set fetch.group to '^([^_]+)_'" in finding.message
    assert (finding.action, finding.paths) == ("warn", ())


def given_groups(folder, split=""):
    """The samples with the beginnings of their names as groups."""
    scanned = folders.scan(folder)
    samples = tuple(
        replace(s, group=s.path[2:4], split=split and ("train", "test")["view1" in s.path])
        for s in scanned.samples
    )
    return audit.run_checks(
        replace(scanned, samples=samples), folder, params.AuditParams(), folder.parent / "work"
    )


def test_groups_that_are_given_are_not_looked_for(patients):
    assert given_groups(patients).findings == ()


def test_a_group_in_two_splits_of_the_source_is_a_leak(patients):
    (leak,) = given_groups(patients, "divided").findings
    assert leak.check == "leaks"
    assert leak.message == "6 groups are in several splits, such as 'a0': test, train"
    assert len(leak.paths) == 12


def test_what_a_table_and_the_folder_do_not_share_is_no_finding(photos):
    images_there = sorted(photos.rglob("*.png"))
    rows = [f"{path.relative_to(photos)},{path.parent.name}\n" for path in images_there[1:]]
    rows[-1] = f"{images_there[-1].relative_to(photos)},\n"
    (photos / "labels.csv").write_text("".join(["image,label\n", *rows, "gone.png,a\n"]))
    manifest = folders.scan(photos, settings=ReadParams(labels="labels.csv"))
    assert len(manifest.notes["rejected"]) == 3
    result = audit.run_checks(manifest, photos, params.AuditParams(), photos.parent / "work")
    assert audits.flagged(result)["unreadable"] == [str(images_there[-1].relative_to(photos))]
