"""An arm in shards has the images of one in folders, for every command."""

import subprocess
import sys
import tarfile

import pytest
import torch

from tests.augmentation.test_render import augment, folder, stopping, tree
from tests.helpers import pages
from tests.helpers.arms import load
from tests.helpers.waiting import TIMEOUT, wait_until
from toolkit.augmentation import batches
from toolkit.augmentation.render import OutputFormat
from toolkit.cli.augment import AugmentOptions, augment_from_options
from toolkit.errors import InputError
from toolkit.evaluation import probe
from toolkit.io import images, inside, manifest, shards
from toolkit.reporting import page


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("plain") / "train", many=9, few=4)


def by_id(table, path):
    """Return the label, parent, seed and bytes of each sample."""
    return {
        s.id: (s.label, s.parent, s.seed, inside.read_file(path / s.path, 10**6))
        for s in table.samples
    }


@pytest.mark.parametrize("only_new", [True, False])
def test_shards_hold_the_images_that_folders_hold(plain, tmp_path, only_new):
    one, _ = augment(plain, tmp_path / "folder", target=30, form=OutputFormat(only_new))
    two, _ = augment(plain, tmp_path / "shards", target=30, form=OutputFormat(only_new, shards=4))
    assert by_id(one, tmp_path / "folder") == by_id(two, tmp_path / "shards")
    assert [s.id for s in one.samples] == [s.id for s in two.samples]
    names = sorted(path.name for path in (tmp_path / "shards").iterdir())
    tables = ["manifest.csv", "manifest.json", "plan.csv"]
    assert names == [*tables, *(shards.shard_name(k) for k in range(4))]
    plans = [(tmp_path / form / "plan.csv").read_bytes() for form in ("folder", "shards")]
    assert plans[0] == plans[1]


def test_every_image_is_followed_by_the_number_of_its_class(plain, tmp_path):
    """In WebDataset, the members of one key, which has no dot, are adjacent."""
    table, _ = augment(
        plain, tmp_path / "out", target=12, form=OutputFormat(shards=3), codec="jpeg"
    )
    labels = {s.path: table.classes.index(s.label) for s in table.samples}
    for shard in (tmp_path / "out").glob("*.tar"):
        with tarfile.open(shard) as archive:
            members = archive.getmembers()
            for image, label in zip(members[::2], members[1::2], strict=True):
                assert label.name == f"{image.name.partition('.')[0]}.cls"
                number = int(archive.extractfile(label).read())
                assert number == labels.pop(f"{shard.name}/{image.name}")
    assert not labels


def test_training_reads_shards(plain, tmp_path):
    for name, count in (("folder", 0), ("shards", 3)):
        augment(plain, tmp_path / name, target=12, form=OutputFormat(shards=count))
    one, two = (load(tmp_path / name, 24) for name in ("folder", "shards"))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.labels, two.labels)
    sample = manifest.read_manifest(tmp_path / "shards").samples[-1]
    assert images.read_image(tmp_path / "shards" / sample.path).shape == (24, 24, 3)


def test_the_probe_of_shards_equals_that_of_folders(plain, tmp_path):
    for name, count in (("folder", 0), ("shards", 3)):
        augment(plain, tmp_path / name, target=12, form=OutputFormat(shards=count))
    assert probe.probe_arm(tmp_path / "folder") == probe.probe_arm(tmp_path / "shards")


def test_the_page_shows_an_arm_in_shards_as_one_in_folders(tmp_path, monkeypatch):
    """The page has the same numbers and sheets for both forms of output."""
    monkeypatch.chdir(tmp_path)  # away from the params.yaml here
    inputs, sections = pages.inputs(tmp_path / "project"), []
    for count in (0, 3):
        call = AugmentOptions(
            inputs.prepared / "train",
            inputs.arms / "augmented",
            target="9",
            policy="augmix",
            only_new=True,
            shards=count,
            force=True,
            workers=1,
            quiet=True,
        )
        augment_from_options(call)
        sections.append(page.data_section(inputs))
    parts = ("counts", "new", "sheets", "most_changed")
    assert [sections[0][part] for part in parts] == [sections[1][part] for part in parts]
    assert ["augmented", "all", "5"] in [row[:3] for row in sections[1]["new"]]
    assert list((inputs.arms / "augmented").glob("*.tar"))


def test_a_shard_that_was_changed_is_named(plain, tmp_path):
    table, _ = augment(plain, tmp_path / "out", target=12, form=OutputFormat(shards=3))
    shard = tmp_path / "out" / shards.shard_name(1)
    sample = next(s for s in table.samples if s.path.startswith(shard.name))
    data = inside.read_file(tmp_path / "out" / sample.path, 10**6)
    shard.write_bytes(shard.read_bytes().replace(data, bytes(len(data))))
    with pytest.raises(InputError, match=f"{sample.path}: changed since the manifest"):
        load(tmp_path / "out", 24)


def test_more_shards_than_originals_are_refused(plain, tmp_path):
    with pytest.raises(InputError, match=r"--shards must be at most 4, .*got 5"):
        augment(plain, tmp_path / "out", target=8, form=OutputFormat(only_new=True, shards=5))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_an_interrupted_run_into_shards_is_resumed_with_the_same_result(
    plain, tmp_path, workers, monkeypatch
):
    """Each parent has more rows than a batch, so that it has several batches in a shard."""
    monkeypatch.setattr(batches, "MOST_ROWS", 7)
    out, form = tmp_path / "out", OutputFormat(shards=4)
    augment(plain, tmp_path / "whole", target=40, form=form)
    for after in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            augment(plain, out, target=40, form=form, track=stopping(after), workers=workers)
    before = {path.name: path.stat().st_ino for path in (tmp_path / ".out.building").glob("*.tar")}
    damaged = tmp_path / ".out.building" / min(before)
    damaged.write_bytes(damaged.read_bytes()[:3000])
    augment(plain, out, target=40, form=form, workers=workers)
    assert tree(out) == tree(tmp_path / "whole")


def test_shards_of_a_killed_run_are_kept_and_incomplete_ones_written_anew(tmp_path):
    source, out = folder(tmp_path / "train", size=48, few=9, many=8), tmp_path / "out"
    augment(source, tmp_path / "whole", target=900, form=OutputFormat(shards=16))
    command = [sys.executable, "-m", "toolkit", "augment", str(source), "-o", str(out), "--shards"]
    command += ["16", "--target", "900", "--policy", "homework"]
    process = subprocess.Popen(command, cwd=tmp_path)
    assert wait_until((tmp_path / ".out.building" / shards.shard_name(8)).exists, process)
    process.kill()
    process.wait(timeout=TIMEOUT)
    left = {path.name for path in (tmp_path / ".out.building").glob("*.tar")}
    assert shards.shard_name(8) in left
    assert shards.shard_name(15) not in left
    first = (tmp_path / ".out.building" / shards.shard_name(1)).stat().st_mtime_ns
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=TIMEOUT)
    assert tree(out) == tree(tmp_path / "whole")
    assert (out / shards.shard_name(1)).stat().st_mtime_ns == first
