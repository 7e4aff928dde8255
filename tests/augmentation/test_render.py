"""Plan -> files: the same bytes whatever the workers, the target's size, or the run."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.waiting import TIMEOUT
from toolkit.augmentation import batches, params, plan, render
from toolkit.augmentation.params import EntryParams
from toolkit.augmentation.render import OutputFormat
from toolkit.augmentation.transforms import compose, parsing
from toolkit.datasets import folders, folds, prepare
from toolkit.datasets.params import ByFolds, PrepareParams
from toolkit.errors import InputError
from toolkit.io import closure, manifest
from toolkit.io.images import ENCODERS, encode_png, identify, read_image, read_picture

AFFINE = [EntryParams(transform="albumentations.Affine", arguments={"rotate": [-9, 9]})]


def picture(seed, size=24):
    rng = np.random.default_rng(seed)
    return rng.integers(20, 230, (size, size, 3), dtype=np.uint8)


def folder(path, size=24, **counts):
    """A plain folder <class>/file."""
    for label, count in counts.items():
        (path / label).mkdir(parents=True)
        for number in range(count):
            data = encode_png(picture([number, *label.encode()], size))
            (path / label / f"{number:03d}.png").write_bytes(data)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("plain") / "train", many=9, few=4)


def augment(source, output, policy="homework", target=12, draw="even", codec="png", **options):
    settings = params.AugmentParams(target=target, draw=draw, format=codec)
    result = render.augment_folder(source, output, settings, policy, **options)
    return manifest.read_manifest(output), result.summary


def tree(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def new_files(path):
    return {name: data for name, data in tree(path).items() if "/new-" in name}


def test_the_output_is_a_complete_training_folder(plain, tmp_path):
    table, summary = augment(plain, tmp_path / "out")
    assert table.counts() == {"few": 12, "many": 12}
    assert summary.new == {"few": 8, "many": 3}
    originals = [s for s in table.samples if not s.derived]
    assert all(
        (tmp_path / "out" / s.path).read_bytes() == (plain / s.path).read_bytes() for s in originals
    )
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    tables = ["manifest.csv", "manifest.json", "plan.csv"]
    assert names == sorted(["few", "many", *tables])
    assert manifest.read_manifest(tmp_path / "out") == table


def test_new_images_have_the_weight_of_their_original(tmp_path):
    source = folder(tmp_path / "train", many=3, few=2)
    (source / "weights.csv").write_text("image,weight\nfew/000,2.5\nfew/001,0.1\n")
    table, _ = augment(source, tmp_path / "out", target=5)
    given = {sample.path: sample.weight for sample in table.samples}
    assert (given["few/000.png"], given["few/001.png"], given["many/000.png"]) == (2.5, 0.1, 1)
    new = [sample for sample in table.samples if sample.derived]
    assert len(new) == 5
    assert all(sample.weight == table.by_id[sample.parent].weight for sample in new)


def test_every_file_is_named_and_hashed_in_the_manifest(plain, tmp_path):
    table, _ = augment(plain, tmp_path / "out", form=OutputFormat(only_new=True))
    for sample in table.samples:
        data = (tmp_path / "out" / sample.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == manifest.content_hash(sample)
    child = table.samples[-1]
    assert child.path == f"many/new-000003-{child.parent[:8]}.png"
    assert child.group == table.by_id[child.parent].group


def test_only_new_writes_only_the_new_images_and_points_to_the_others(plain, tmp_path):
    table, _ = augment(plain, tmp_path / "arms" / "augmented", form=OutputFormat(only_new=True))
    images = [name for name in tree(tmp_path / "arms" / "augmented") if "/" in name]
    assert len(images) == 11
    assert all("/new-" in name for name in images)
    assert all(s.path.startswith("../") for s in table.samples if not s.derived)


def test_every_image_is_made_again_from_its_row_alone(plain, tmp_path):
    for policy in ("homework", AFFINE):
        table, _ = augment(plain, tmp_path / "out", policy)
        for row in plan.read_plan(tmp_path / "out"):
            parent = read_picture(tmp_path / "out" / table.by_id[row.parent].path)
            name = f"{row.label}/new-{row.number:06d}-{row.parent[:8]}.png"
            data = (tmp_path / "out" / name).read_bytes()
            again = compose.apply_transform(row.transform, parent, row.params)
            assert ENCODERS["png"](again) == data


@pytest.mark.parametrize(
    ("policy", "draw"), [("homework", "even"), ("homework", "random"), (AFFINE, "even")]
)
def test_a_second_run_gives_the_same_tree(plain, tmp_path, policy, draw):
    for name in ("one", "two"):
        augment(plain, tmp_path / name, policy, draw=draw)
    augment(plain, tmp_path / "two", policy, draw=draw)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_the_number_of_workers_does_not_change_a_byte(tmp_path):
    source = folder(tmp_path / "train", size=16, few=70, many=80)
    trees = []
    for workers in (1, 2, 3):
        augment(source, tmp_path / str(workers), target=150, workers=workers)
        trees.append(tree(tmp_path / str(workers)))
    assert trees[0] == trees[1] == trees[2]


def test_raising_the_target_leaves_the_first_files_as_they_were(tmp_path):
    """60 to 360 and to 500: the first 300 new files are the same bytes."""
    source = folder(tmp_path / "train", size=16, few=60, many=2)
    for target in (360, 500):
        settings = params.AugmentParams(target={"few": target})
        render.augment_folder(
            source, tmp_path / str(target), settings, "homework", form=OutputFormat(only_new=True)
        )
    short, long = new_files(tmp_path / "360"), new_files(tmp_path / "500")
    assert (len(short), len(long)) == (300, 440)
    assert {name: long[name] for name in short} == short
    assert (
        manifest.read_manifest(tmp_path / "500").samples[62:362]
        == manifest.read_manifest(tmp_path / "360").samples[62:]
    )


def test_the_summary_counts_what_was_made(plain, tmp_path):
    table, summary = augment(plain, tmp_path / "out", "duplicate", target=30)
    assert summary == render.AugmentationSummary(
        new={"few": 26, "many": 21},
        identical={"few": 26, "many": 21},
        copies={"few": {"fewest": 6, "most": 7}, "many": {"fewest": 2, "most": 3}},
        transforms={"identity": 47},
    )
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"] == table.notes


def test_plain_copies_get_ids_of_their_own(plain, tmp_path):
    table, _ = augment(plain, tmp_path / "out", "duplicate", target=30)
    first = table.samples[0]
    one, *more = [s.id for s in table.samples if s.parent == first.id]
    assert more == [f"{one}-{n}" for n in range(2, 2 + len(more))]


def test_policies_other_than_homework_make_no_identical_copy(plain, tmp_path):
    flips = [EntryParams(transform="horizontal_flip", arguments={"p": 0.2})]
    assert augment(plain, tmp_path / "out", flips)[1].identical == {"few": 0, "many": 0}


def test_the_codec_is_on_record(plain, tmp_path):
    table, _ = augment(plain, tmp_path / "out", AFFINE, codec="jpeg", size=16)
    notes = table.notes["codec"]
    assert (notes["format"], notes["quality"], notes["size"]) == ("jpeg", 75, 16)
    assert {"subsampling", "pillow", "libjpeg_turbo", "albumentations", "cv2"} <= notes.keys()
    child = tmp_path / "out" / table.samples[-1].path
    assert child.suffix == ".jpg"
    assert identify(child.read_bytes()) == "JPEG"
    assert read_image(child).shape == (16, 16, 3)


def test_a_target_that_every_class_has_makes_nothing(plain, tmp_path):
    result = render.augment_folder(
        plain, tmp_path / "out", params.AugmentParams(target=4), "homework"
    )
    assert result.summary.new == {"few": 0, "many": 0}
    assert result.counts == {"few": 4, "many": 9}
    assert "no new images" in render.describe_summary(result)[-1]


def test_the_original_arm_is_a_manifest_alone(plain, tmp_path):
    table = render.write_original(plain, tmp_path / "arms" / "original")
    assert sorted(tree(tmp_path / "arms" / "original")) == [
        "manifest.csv",
        "manifest.json",
        "plan.csv",
    ]
    assert plan.read_plan(tmp_path / "arms" / "original") == ()
    assert all((tmp_path / "arms" / "original" / s.path).is_file() for s in table.samples)
    assert render.write_original(plain, tmp_path / "arms" / "original") == table


def test_equal_names_in_nested_folders_are_kept_apart(tmp_path):
    for number, place in enumerate(("x/1.png", "y/1.png", "1.png")):
        path = tmp_path / "train" / "few" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(picture(number)))
    samples = folders.scan(tmp_path / "train").samples
    flat = manifest.Manifest(("few",), samples)
    table, _ = augment(tmp_path / "train", tmp_path / "out", target=5)
    assert len(flat.samples) == 3
    assert table.counts() == {"few": 5}
    assert len({s.path for s in table.samples}) == 5


def stopping(after):
    """A track that is interrupted after so many batches."""

    def track(items, label, total=None):
        for number, item in enumerate(items):
            if label == "augment" and number == after:
                raise KeyboardInterrupt
            yield item

    return track


def test_an_interrupted_run_leaves_the_output_as_it_was(plain, tmp_path):
    augment(plain, tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        augment(plain, tmp_path / "out", target=20, track=stopping(2))
    assert tree(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.building", "out"]


def test_a_parent_that_was_corrupted_is_named(tmp_path):
    source = folder(tmp_path / "train", few=2, many=3)
    manifest.write_manifest(source, folders.scan(source))
    (source / "few" / "000.png").write_bytes(encode_png(picture(99)))
    with pytest.raises(InputError, match=r"few/000.png: changed since .*sha256 differs"):
        augment(source, tmp_path / "out")
    (source / "few" / "000.png").unlink()
    with pytest.raises(InputError, match=r"few/000.png: cannot be read .there is no such file"):
        augment(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


def test_damaged_originals_are_left_out_and_listed(tmp_path):
    source = folder(tmp_path / "train", few=3, many=5)
    for name in ("few/000.png", "many/004.png"):
        cut(source / name)
    (source / "many" / "notes.txt").write_text("text")
    result = render.augment_folder(source, tmp_path / "out", params.AugmentParams(), "homework")
    assert dict(result.counts) == {"few": 4, "many": 4}
    listed = manifest.read_manifest(tmp_path / "out").notes["rejected"]
    assert [entry["path"] for entry in listed] == ["few/000.png", "many/004.png", "many/notes.txt"]
    assert [entry["reason"][:13] for entry in listed] == ["damaged image"] * 2 + ["not an image "]
    assert list(result.rejected) == listed
    originals = {p.name for p in (tmp_path / "out").glob("many/*")}
    assert originals == {"000.png", "001.png", "002.png", "003.png"}
    assert not (tmp_path / "out/few/000.png").exists()


@pytest.mark.parametrize("only_new", [False, True])
def test_a_manifest_that_lists_damaged_originals_is_refused_with_their_number(tmp_path, only_new):
    source = folder(tmp_path / "train", few=3, many=5)
    for name in ("few/000.png", "few/001.png", "many/004.png"):
        cut(source / name)
    manifest.write_manifest(source, folders.scan(source))
    counted = (
        "few/000.png" if only_new else "3 files are not used, of 8: damaged image .3.*few/000.png"
    )
    with pytest.raises(InputError, match=f"{counted}.*`toolkit audit`"):
        augment(source, tmp_path / "out", form=OutputFormat(only_new=only_new))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train"]


@pytest.mark.parametrize("place", ["train", "train/few/out", "."])
def test_an_output_that_touches_the_images_is_refused(tmp_path, place):
    source = folder(tmp_path / "train", few=1, many=3)
    with pytest.raises(InputError, match="the output must lie apart from the images' folder"):
        augment(source, tmp_path / place)
    assert len(tree(source)) == 4


def test_a_folder_that_the_toolkit_did_not_write_is_left_alone(plain, tmp_path):
    other = folder(tmp_path / "photos", few=1)
    manifest.write_manifest(other, folders.scan(other))
    with pytest.raises(InputError, match="photos: exists and was not written"):
        augment(plain, other)
    with pytest.raises(InputError, match=r"photos: exists .*or replace it with --force"):
        augment(plain, other)
    assert len(tree(other)) == 3


def test_force_replaces_a_folder_that_is_not_ours_but_no_file(plain, tmp_path):
    augment(plain, folder(tmp_path / "photos", few=1), form=OutputFormat(force=True))
    assert (tmp_path / "photos" / "plan.csv").is_file()
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InputError, match="notes: --output must be a folder, found a file"):
        augment(plain, tmp_path / "notes", form=OutputFormat(force=True))
    assert (tmp_path / "notes").read_text() == "mine"


def test_the_folder_of_one_class_is_refused_by_name(plain, tmp_path):
    few = plain / "few"
    with pytest.raises(InputError, match=rf"{few}: no class folder.*give the one above"):
        augment(few, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_of_another_split_are_refused(tmp_path):
    folder(tmp_path / "data" / "train", few=1, many=3)
    folder(tmp_path / "data" / "test", few=1, many=3)
    with pytest.raises(InputError, match=r"split 'test' .*: give \S*data/train, or choose"):
        augment(tmp_path / "data", tmp_path / "out")


def test_an_augmented_folder_is_not_augmented_again(plain, tmp_path):
    augment(plain, tmp_path / "out")
    with pytest.raises(InputError, match=r"was augmented already .*give the originals' folder"):
        augment(tmp_path / "out", tmp_path / "again", target=20)


def test_a_transform_that_changes_the_size_is_refused_before_anything_is_written(plain, tmp_path):
    crop = [EntryParams(transform="albumentations.CenterCrop", arguments={"height": 9, "width": 9})]
    with pytest.raises(InputError, match=r"CenterCrop turns .* into"):
        augment(plain, tmp_path / "out", crop)
    assert not (tmp_path / "out").exists()


def test_a_ready_policy_is_taken_as_it_is(plain, tmp_path):
    policy = parsing.make_policy("duplicate")
    assert augment(plain, tmp_path / "out", policy)[1].transforms == {"identity": 11}


def building(path):
    return path.with_name(f".{path.name}.building")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_is_continued_and_ends_the_same(plain, tmp_path, workers):
    augment(plain, tmp_path / "whole", target=40)
    for after in (1, 5):
        with pytest.raises(KeyboardInterrupt):
            augment(plain, tmp_path / "out", target=40, track=stopping(after), workers=workers)
    done = new_files(building(tmp_path / "out"))
    assert len(done) > 3
    first = {name: (building(tmp_path / "out") / name).stat().st_ino for name in done}
    augment(plain, tmp_path / "out", target=40, workers=workers)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert not building(tmp_path / "out").exists()
    again = {name: (tmp_path / "out" / name).stat().st_ino for name in done}
    kept = [name for name in done if again[name] == first[name]]  # the same files, moved
    assert len(kept) > 3  # a worker that was ended had begun some more


def test_a_run_of_other_settings_is_not_continued(plain, tmp_path):
    augment(plain, tmp_path / "whole", target=30)
    with pytest.raises(KeyboardInterrupt):
        augment(plain, tmp_path / "out", target=40, track=stopping(3))
    augment(plain, tmp_path / "out", target=30)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_run_of_other_code_is_not_continued(plain, tmp_path, monkeypatch):
    keys = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            augment(plain, tmp_path / "out", target=40, track=stopping(9))
        keys.append((building(tmp_path / "out") / ".journal").read_bytes().splitlines()[0])
        monkeypatch.setattr(closure, "package_digest", lambda: "another")
    assert keys[0] != keys[1]


@pytest.mark.parametrize("harm", ["cut", "gone", "changed", "cut journal", "half a table"])
def test_what_was_harmed_in_between_is_made_anew(plain, tmp_path, harm):
    augment(plain, tmp_path / "whole", target=40)
    with pytest.raises(KeyboardInterrupt):
        augment(plain, tmp_path / "out", target=40, track=stopping(9))
    left = building(tmp_path / "out")
    file = left / min(new_files(left))
    if harm == "gone":
        file.unlink()
    elif harm == "half a table":
        (left / ".manifest.csv.1.tmp").write_text("half")
    elif harm == "cut journal":
        journal = left / ".journal"
        journal.write_bytes(journal.read_bytes()[:-20])
    else:
        data = file.read_bytes()
        file.write_bytes(data[:-9] if harm == "cut" else data[:-9] + b"different")
    augment(plain, tmp_path / "out", target=40)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def ends(command, seconds, where):
    """Run a command, and kill it after so long; whether it ended before."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=where)
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()  # SIGKILL
        process.wait(timeout=TIMEOUT)
        process.stderr.close()
        return False
    assert process.returncode == 0, errors
    return True


@pytest.mark.parametrize("workers", [1, 8])
def test_runs_that_are_killed_at_random_points_end_as_one_that_is_not(tmp_path, workers):
    """Killed in start, images, tables and moves: the output is whole or not there, at any time."""
    source = folder(tmp_path / "train", size=32, few=30, many=40)
    augment(source, tmp_path / "whole", target=300)
    whole, kills = tree(tmp_path / "whole"), 0
    rng = np.random.default_rng(workers)
    command = [sys.executable, "-m", "toolkit", "augment", str(source), "-o", str(tmp_path / "out")]
    command += ["--target", "300", "--workers", str(workers), "--policy", "homework"]
    while not ends(command, 0.1 + 0.5 * rng.random(), tmp_path) or kills < 3:
        kills += 1
        if (tmp_path / "out").exists():
            assert tree(tmp_path / "out") == whole
        if kills == 5:
            assert ends(command, 60, tmp_path)
            break
    assert tree(tmp_path / "out") == whole
    assert not building(tmp_path / "out").exists()


def test_a_target_raised_in_two_steps_gives_what_one_step_gives(plain, tmp_path):
    for policy in ("homework", "randaugment", "augmix", AFFINE):
        for target in (20, 40):
            augment(plain, tmp_path / "steps", policy, target=target)
        augment(plain, tmp_path / "once", policy, target=40)
        assert tree(tmp_path / "steps") == tree(tmp_path / "once")


@pytest.mark.parametrize("count", [0, 2])
def test_files_are_replaced_and_never_written_through(plain, tmp_path, count):
    """DVC may have linked an output's files to its cache: those stay as they are."""
    augment(plain, tmp_path / "out", form=OutputFormat(shards=count))
    cache = tree(tmp_path / "out")
    for name in cache:
        (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).hardlink_to(tmp_path / "out" / name)
    augment(plain, tmp_path / "out", target=30, policy=AFFINE, form=OutputFormat(shards=count))
    assert tree(tmp_path / "cache") == cache


def test_memory_does_not_grow_with_the_images(tmp_path):
    """Peak memory in MB of whole runs, of 50 and of 3,000 new images of 16 px."""
    source = folder(tmp_path / "train", size=16, few=10, many=1)
    code = (
        "from toolkit.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    peaks = []
    for target in (60, 3010):
        arguments = ["augment", source, "-o", tmp_path / str(target), "--target", target, "-q"]
        arguments += ["--class", "few", "--only-new", "--workers", "1"]
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, check=True, timeout=TIMEOUT
        )
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < min(80, peaks[0] + 8), peaks


def test_what_is_distinct_does_not_depend_on_the_size_of_batches(plain, tmp_path, monkeypatch):
    reports = []
    for rows in (256, 5, 1):
        monkeypatch.setattr(batches, "MOST_ROWS", rows)
        settings = params.AugmentParams(target=70, draw="even")
        result = render.augment_folder(plain, tmp_path / str(rows), settings, "homework")
        reports.append(result.report)
    assert reports[0].all.near_duplicates > 0
    assert reports[0] == reports[1] == reports[2]


def test_one_arm_serves_all_folds(tmp_path):
    raw = folder(tmp_path / "raw", many=9, few=4)
    prepare.write_splits(
        folders.scan(raw), raw, tmp_path / "data", PrepareParams(size=16, split=ByFolds(folds=2))
    )
    table, _ = augment(
        tmp_path / "data" / "train", tmp_path / "arm", form=OutputFormat(only_new=True)
    )
    for division in range(2):
        for fold in range(2):
            rows = folds.training_rows(table, division, fold)
            trained = [table.samples[row] for row in rows]
            assert sum(sample.label == "few" for sample in trained) == 12
            assert all(sample.folds[division] != fold for sample in trained)
