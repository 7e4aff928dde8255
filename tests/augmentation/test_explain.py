"""A new image is explained, and rendered again from its row of the manifest alone."""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.helpers.flips import forge
from tests.helpers.waiting import TIMEOUT
from toolkit.augmentation import explain, render
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.render import OutputFormat
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.cli.augment import AugmentOptions, augment_from_options
from toolkit.errors import InputError
from toolkit.io import inside, manifest


def augment(photos, out, policy="homework", codec="png", **options):
    settings = AugmentParams(target=15, format=codec)
    render.augment_folder(photos, out, settings, policy, **options)
    return manifest.read_manifest(out)


def children(table):
    return [sample for sample in table.samples if sample.derived]


@pytest.fixture(scope="module")
def augmented(tmp_path_factory):
    """A folder `out` of new images and their manifest, of classes a and b."""
    from tests.conftest import fill

    root = tmp_path_factory.mktemp("augmented")
    augment(fill(root / "photos", {"a": 4, "b": 12}), root / "out")
    return root / "out"


@pytest.mark.parametrize(
    ("name", "codec"),
    [*((name, "png") for name in sorted(POLICIES)), ("homework", "jpeg"), ("augmix", "jpeg")],
)
def test_every_image_of_every_policy_is_rendered_again_from_its_row(photos, tmp_path, name, codec):
    out = tmp_path / "out"
    table = augment(photos, out, name, codec, size=20)
    kept = {child.path: (out / child.path).read_bytes() for child in children(table)}
    for path in kept:
        (out / path).unlink()  # the row alone
    assert len(kept) == 19
    again = {path: explain.render_again(explain.trace_image(out / path)) for path in kept}
    assert again == kept


@pytest.mark.parametrize(
    "form",
    [OutputFormat(shards=3), OutputFormat(shards=3, only_new=True), OutputFormat(only_new=True)],
)
def test_images_in_shards_and_beside_linked_originals_are_rendered_again(photos, tmp_path, form):
    out = tmp_path / "out"
    for child in children(augment(photos, out, "augmix", form=form)):
        place = out / child.path
        assert explain.render_again(explain.trace_image(place)) == inside.read_file(
            place, 1_000_000
        )


def test_a_row_is_named_by_its_line(augmented):
    table = manifest.read_manifest(augmented)
    last = len(table.samples) + 1
    traced = explain.trace_image(augmented / f"manifest.csv:{last}")
    assert (traced.child, traced.line) == (table.samples[-1], last)
    text = (augmented / "manifest.csv").read_text().splitlines()[last - 1]
    assert text.startswith(traced.child.id)


def test_the_command_shown_works(augmented, tmp_path):
    child = children(manifest.read_manifest(augmented))[0]
    place = augmented / child.path
    command = [sys.executable, "-m", "toolkit"]
    done = subprocess.run(
        [*command, "augment", "--explain", place],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["transform"] == child.transform
    assert json.loads(lines["drawn"]) == child.params
    assert lines["parent"].startswith(f"{child.path.split('/')[0]}/")
    _, *words = shlex.split(lines["render again"])
    subprocess.run(
        [*command, *words], cwd=tmp_path, check=True, capture_output=True, timeout=TIMEOUT
    )
    assert (tmp_path / words[-1]).read_bytes() == place.read_bytes()
    twice = subprocess.run(
        [*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert twice.returncode == 1
    assert "again.png: stands in the way" in twice.stderr


def test_the_state_of_the_file_is_shown(augmented, tmp_path):
    shutil.copytree(augmented, tmp_path / "out")
    place = tmp_path / "out" / children(manifest.read_manifest(augmented))[0].path
    lines = [explain.describe_trace(place, explain.trace_image(place))[0]]
    place.write_bytes(b"x")
    lines.append(explain.describe_trace(place, explain.trace_image(place))[0])
    place.unlink()
    lines.append(explain.describe_trace(place, explain.trace_image(place))[0])
    assert [line.split("; ")[1] for line in lines] == [
        "unchanged since it was written",
        "changed since it was written",
        "the file is gone",
    ]


def test_a_name_does_not_forge_a_line(augmented):
    traced = explain.trace_image(augmented / children(manifest.read_manifest(augmented))[0].path)
    forged = replace(traced, parent=replace(traced.parent, path="a\nrender again: rm x"))
    lines = explain.describe_trace(augmented / "x", forged)
    assert [line for line in lines if line.startswith("render again: ")] == lines[-1:]


def test_nothing_else_can_be_asked_for_at_once(augmented):
    options = AugmentOptions(explain=augmented / "x.png", target="3")
    with pytest.raises(InputError, match="--explain takes a new image, --output, --force and --q"):
        augment_from_options(options)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("a/000.png", r"a/000.png: is an original .*nothing was drawn"),
        ("a/none.png", "manifest.csv has no such path"),
        ("../none.png", "no folder above it has a manifest.csv"),
        ("manifest.csv:1", "must be followed by :LINE, a line from 2 to .* got '1'"),
        ("manifest.csv:x", "must be followed by :LINE"),
        ("manifest.csv:99", "must be followed by :LINE"),
    ],
)
def test_what_is_not_a_new_image_is_refused(augmented, place, message):
    with pytest.raises(InputError, match=message):
        explain.trace_image(augmented / place)


@pytest.mark.parametrize(
    ("transform", "params"),
    [
        ("rotate", {"angle": "x"}),
        ("rotate", {}),
        ("pad_resize", {"pixels": 10**9}),
        ("resized_crop", {"left": 0, "top": 0, "width": 10**6, "height": 10**6}),
        ("translate_x", {"fraction": 1e300}),
        ("some_of", {"steps": [3]}),
        ("mix", {"original": 1, "chains": [{}]}),
        ("sequence", {"steps": [{"transform": "../x", "params": {}}]}),
        ("albumentations.Affine", {"arguments": {"rotate": "x"}, "seed": 1}),
    ],
)  # fmt: skip
def test_numbers_that_no_draw_gives_are_refused(augmented, transform, params):
    traced = explain.trace_image(augmented / children(manifest.read_manifest(augmented))[0].path)
    strange = replace(traced, child=replace(traced.child, transform=transform, params=params))
    with pytest.raises(InputError, match=r"manifest.csv: line \d+: cannot be rendered again"):
        explain.render_again(strange)


def test_other_bytes_are_explained_by_the_versions(augmented):
    traced = explain.trace_image(augmented / children(manifest.read_manifest(augmented))[0].path)
    older = {**traced.codec, "pillow": "1.0", "compress_level": 6}
    other = replace(traced, codec=older, child=replace(traced.child, id="0" * 64))
    with pytest.raises(InputError, match=r"gives other bytes .*: pillow was 1\.0, is \d+"):
        explain.render_again(other)
    with pytest.raises(InputError, match="the row was changed, or"):
        explain.render_again(replace(other, codec=traced.codec))


def test_a_parent_that_was_changed_is_named(augmented, tmp_path):
    shutil.copytree(augmented, tmp_path / "out")
    child = children(manifest.read_manifest(augmented))[0]
    traced = explain.trace_image(tmp_path / "out" / child.path)
    (tmp_path / "out" / traced.parent.path).write_bytes(b"x")
    with pytest.raises(InputError, match="changed since the manifest was written"):
        explain.write_again(traced, tmp_path / "again.png", force=False)
    assert not (tmp_path / "again.png").exists()


@pytest.mark.parametrize(
    "codec",
    [
        None,
        [],
        {"format": "bmp", "size": 3},
        {"format": "png", "size": -1},
        {"format": "png", "size": "9"},
    ],
)
def test_a_manifest_that_does_not_say_how_is_refused(augmented, tmp_path, codec):
    shutil.copytree(augmented, tmp_path / "out")
    forge(tmp_path / "out", notes={"codec": codec})
    with pytest.raises(InputError, match=r"manifest.json: notes.codec does not say how"):
        explain.trace_image(tmp_path / "out" / children(manifest.read_manifest(augmented))[0].path)
