"""`toolkit init` makes a project that fits the images, and never overwrites one."""

import hashlib
import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from tests.conftest import fill
from tests.helpers.waiting import TIMEOUT
from toolkit.datasets import fetch_source, split
from toolkit.datasets.params import BY_NAME, ByFolds, FetchParams, ReadParams
from toolkit.errors import DISTRIBUTION, InputError
from toolkit.pipeline import params, project, repository
from toolkit.training import pretrained


def start(folder: Path, images: Path | None = None, preset: str = "folder", **options):
    return "\n".join(project.init_project(folder, preset, images, **options))


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Repositories of git and DVC, started once: that takes DVC more than a second."""
    folder = tmp_path_factory.mktemp("begun")
    repository.start_repositories(folder)
    return folder


@pytest.fixture
def start_there(begun):
    """Make a project in a folder where git and DVC are started."""

    def started(folder: Path, *arguments, **options):
        shutil.copytree(begun, folder, dirs_exist_ok=True)
        return start(folder, *arguments, **options)

    return started


def test_own_photos_two_classes(tmp_path, start_there):
    photos = fill(tmp_path / "photos", {"sick": 4, "healthy": 9})
    said = start_there(tmp_path / "p", photos)
    settings = params.load_params(tmp_path / "p" / "params.yaml")
    assert settings.fetch.path == "../photos"
    assert settings.evaluate.positive == "sick"
    assert settings.prepare.size == 32  # that of the photos
    assert settings.version == params.installed_version()
    assert "9 healthy, 4 sick" in said
    assert "dvc exp run -S augment.target=N" in said


def test_a_zip_of_own_photos_is_named_with_its_hash_and_wrapper(tmp_path):
    fill(tmp_path / "tree" / "photos (1)" / "Größen", {"sick": 3, "healthy": 5})
    archive = Path(shutil.make_archive(str(tmp_path / "a b"), "zip", tmp_path / "tree"))
    settings, said = project._settings("folder", tmp_path / "p", archive, BY_NAME)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert said[0] == f"{archive}: 8 files, sha256 {digest}"
    assert any("a b.zip: 5 healthy, 3 sick" in line for line in said)
    assert settings["fetch"] == {
        "source": "archive", "location": "../a b.zip", "sha256": digest,
        "folder": "photos (1)/Größen",
    }  # fmt: skip
    assert not (tmp_path / "p").exists()


def test_an_archive_in_an_archive_is_named_and_no_folder_of_a_moment(tmp_path):
    fill(tmp_path / "tree" / "photos", {"sick": 3, "healthy": 5})
    shutil.make_archive(str(tmp_path / "outer" / "inner"), "zip", tmp_path / "tree")
    archive = Path(shutil.make_archive(str(tmp_path / "outer"), "zip", tmp_path / "outer"))
    with pytest.raises(InputError) as error:
        project.init_project(tmp_path / "p", "folder", archive)
    assert str(error.value).startswith(f"{archive}: no images, but archives in it (inner.zip)")


def test_names_and_links_are_told_and_what_is_set_is_written(tmp_path, start_there):
    """Photos of six patients, which are links into a folder beside them."""
    blobs = fill(tmp_path / "blobs", {"sick": 12, "well": 12})
    for path in sorted(blobs.glob("*/*")):
        patient, view = divmod(int(path.stem), 4)
        link = tmp_path / "photos" / path.parent.name / f"{path.parent.name[0]}{patient}_{view}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    with pytest.raises(InputError, match=f"to read such links, set fetch.follow_links .*{blobs}"):
        start(tmp_path / "p", tmp_path / "photos")
    reading = ReadParams(follow_links=str(blobs))
    said = start_there(tmp_path / "p", tmp_path / "photos", reading=reading)
    assert "file names look like 6 groups, such as patients or clips: 's0' has 4 images" in said
    reading = ReadParams(follow_links=str(blobs), group="^([^_]+)_")
    said = start(tmp_path / "p", tmp_path / "photos", reading=reading, force=True)
    assert "6 groups by fetch.group, 24 images" in said
    assert "look like" not in said
    settings = params.load_params(tmp_path / "p" / "params.yaml").fetch
    assert (settings.follow_links, settings.group) == ("../blobs", "^([^_]+)_")


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_labels_is_found_and_its_columns_are_written(tmp_path, packed):
    photos = fill(tmp_path / "tree" / "photos", {"images": 12}).parent
    rows = [(path.stem, "nv" if n < 6 else "mel", f"L{n // 2}")
            for n, path in enumerate(sorted((photos / "photos" / "images").iterdir()))]  # fmt: skip
    text = "".join(f"{','.join(row)}\n" for row in [("image_id", "dx", "lesion_id"), *rows])
    (photos / "photos" / "metadata.csv").write_text(text)
    given = photos / "photos"
    if packed:
        given = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", photos))
    settings, said = project._settings("folder", tmp_path / "p", given, BY_NAME)
    columns = {"labels": "metadata.csv", "image": "image_id", "label": "dx", "group": "lesion_id"}
    assert {key: settings["fetch"][key] for key in columns} == columns
    assert any("metadata.csv: images by image_id, labels by dx, groups by" in line for line in said)
    values = {**settings["fetch"], **({"location": str(given)} if packed else {"path": str(given)})}
    section = TypeAdapter(FetchParams).validate_python(values)
    fetched = fetch_source(section, tmp_path / "raw", tmp_path / "work")
    assert fetched.counts() == {"mel": 6, "nv": 6}
    assert len({sample.group for sample in fetched.samples}) == 6


def test_few_rare_photos_are_cross_fitted(tmp_path, start_there):
    counts = {f"{part}/{name}": 4 for part in ("train", "val", "test") for name in "abC"}
    said = start_there(tmp_path / "p", fill(tmp_path / "photos", counts | {"train/d": 1}))
    settings = params.load_params(tmp_path / "p" / "params.yaml")
    assert settings.prepare.split == ByFolds(folds=5, repeats=2)
    assert settings.fetch.classes.leave_out == ["d"]
    text = (tmp_path / "p" / "params.yaml").read_text()
    assert "  split: {folds: 5, repeats: 2} # each image is tested without its fold" in text
    assert "'C' has 8 images: all are tested, each by networks that train without its fold" in said
    assert "the images of test stay apart" in said
    assert "8 C, 8 a, 8 b; classes with fewer" in said


def test_without_the_weights_no_preset_names_the_recipe_that_needs_them(tmp_path, monkeypatch):
    written, said = project._settings("quick", tmp_path, None, BY_NAME)
    assert ([*written["compare"]["recipes"]], said) == (
        ["googlenet", "resnet18", "recommended"],
        [],
    )
    monkeypatch.setitem(sys.modules, pretrained.PACKAGE, None)
    settings, said = project._settings("quick", tmp_path, None, BY_NAME)
    stream = io.StringIO()
    YAML().dump(settings, stream)
    expected = {**written["compare"], "recipes": ["googlenet", "resnet18"]}
    assert YAML(typ="safe").load(stream.getvalue())["compare"] == expected
    assert said[0].startswith("train.recipes.recommended: this needs the package")


def test_without_the_weights_networks_are_trained_from_scratch(tmp_path, monkeypatch, start_there):
    monkeypatch.setitem(sys.modules, pretrained.PACKAGE, None)
    said = start_there(tmp_path / "p", fill(tmp_path / "photos", {"a": 9, "b": 6}))
    compare = params.load_params(tmp_path / "p" / "params.yaml").compare
    assert (compare.recipes, compare.declared) == (
        ["resnet18"],
        ("resnet18", "augmented", "original"),
    )
    assert "not installed: pip install" in said
    assert "compare.recipes is resnet18, trained from scratch: minutes in place of seconds" in said


def test_another_backbone_is_the_projects_with_its_size_and_weights(
    tmp_path, monkeypatch, start_there
):
    monkeypatch.chdir(tmp_path)
    photos = fill(tmp_path / "photos", {"a": 9, "b": 6})
    (tmp_path / "w.pth").write_bytes(b"weights")
    name = "torchvision.shufflenet_v2_x0_5"
    start_there(Path("p"), photos, backbone=f"{name}=w.pth", commit=False)
    recipe = params.load_params(tmp_path / "p" / "params.yaml").train.recipes["recommended"]
    assert (recipe.network, recipe.size, recipe.frozen) == (name, 224, True)
    assert recipe.weights is not None
    assert recipe.weights.path == "../w.pth"
    assert recipe.weights.sha256 == hashlib.sha256(b"weights").hexdigest()
    for wrong, message in {
        "torchvision.resnet19": "unknown .*'resnet19'",
        f"{name}=v.pth": "v.pth: no such file",
    }.items():
        with pytest.raises(InputError, match=message):
            start(Path("q"), photos, backbone=wrong)
    with pytest.raises(InputError, match="--backbone NAME goes with --images"):
        start(Path("q"), preset="quick", backbone=name)
    assert not (tmp_path / "q").exists()


def test_own_photos_with_splits_of_their_own(tmp_path, monkeypatch, start_there):
    monkeypatch.setattr(split, "FEW", 3)
    counts = {f"{part}/{name}": 3 for part in ("train", "val", "test") for name in "abc"}
    start_there(tmp_path / "p", fill(tmp_path / "photos", counts))
    settings = params.load_params(tmp_path / "p" / "params.yaml")
    assert settings.prepare.split == "source"
    assert settings.evaluate.positive is None


def test_what_the_split_needs_is_decided_written_and_said(tmp_path, monkeypatch, start_there):
    monkeypatch.setattr(split, "FEW", 3)
    counts = {"train/a": 9, "train/b": 8, "train/c": 1, "train/D": 9, "val/a": 3, "val/d": 3}
    said = start_there(tmp_path / "p", fill(tmp_path / "photos", counts), commit=False)
    text = (tmp_path / "p" / "params.yaml").read_text()
    assert "  classes: {leave_out: [c], rename: {d: D}} # else a split would lack some" in text
    assert "  split: source             # the images' own; what one lacks is cut from train" in text
    assert params.load_params(tmp_path / "p" / "params.yaml").prepare.split == "source"
    for sentence in (
        "class 'd' is 'D' in another split: fetch.classes renames it",
        "left out by fetch.classes, for no split may lack a class: c (1 image for train",
        "there is no test split: 6 images of train become test (prepare.test_fraction)",
        "class 'b' has no image in valid: of its 8 in train 2 become valid; else set prepare.split",
        "in train: 9 D, 9 a, 8 b; classes with fewer than the largest: b",
        "fewer than three, `prepare` leaves it out and says so (possible for D, a, b)",
    ):
        assert sentence in said
    assert "look alike" not in said  # it is answered


def test_classes_that_cannot_be_split_stop_init_if_there_are_no_two_others(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 9, "b": 1})
    with pytest.raises(InputError, match=r"fewer than two classes can be split: b \(1 image"):
        start(tmp_path / "p", photos)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("preset", [p for p in project.PRESETS if p != "folder"])
def test_every_preset_makes_a_project(tmp_path, preset, start_there):
    start_there(tmp_path, None, preset)
    names = {p.name for p in tmp_path.iterdir()}
    assert {"params.yaml", "dvc.yaml", ".git", ".dvc", ".gitignore"} <= names
    assert params.load_params(tmp_path / "params.yaml").version == params.installed_version()


def test_what_dvc_unpickles_is_the_users_alone(tmp_path, monkeypatch):
    """From its first command on, and in a project that was cloned or begun by DVC alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    start(tmp_path / "p", None, "quick")
    place = tmp_path / "a cache" / DISTRIBUTION / "dvc"
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "repo").is_dir()  # `dvc init` used it
    shared, own = (tmp_path / "p" / ".dvc" / name for name in ("config", "config.local"))
    assert "site_cache_dir" not in shared.read_text()
    written = own.read_text()
    assert f"site_cache_dir = {place}" in written
    own.unlink()
    repository.start_repositories(tmp_path / "p")
    assert own.read_text() == written


def test_a_folder_inside_a_repository_becomes_a_sub_project(tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True, timeout=TIMEOUT)
    start(tmp_path / "deep", None, "quick")
    assert (tmp_path / "deep" / ".dvc").is_dir()
    assert not (tmp_path / "deep" / ".git").exists()


def test_a_project_is_not_overwritten_without_force(tmp_path, start_there):
    start_there(tmp_path, None, "quick")
    (tmp_path / "params.yaml").write_text("mine")
    with pytest.raises(InputError, match="use --force"):
        start(tmp_path, None, "homework")
    assert (tmp_path / "params.yaml").read_text() == "mine"
    start(tmp_path, None, "homework", force=True)
    assert "homework" in (tmp_path / "params.yaml").read_text()


def test_lines_of_an_existing_gitignore_are_kept(tmp_path, start_there):
    (tmp_path / ".gitignore").write_text("secret\n")
    start_there(tmp_path, None, "quick")
    assert (tmp_path / ".gitignore").read_text().startswith("secret\n/data/\n")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 3}, "found only 'a', with a/0"),
        ({"a": 3, "b": 0}, "class 'b' has no image: its folder"),
    ],
)
def test_images_that_cannot_be_classes_are_refused(tmp_path, counts, message):
    with pytest.raises(InputError, match=message):
        start(tmp_path / "p", fill(tmp_path / "photos", counts))
    assert not (tmp_path / "p").exists()


def test_an_unknown_preset_lists_the_valid_ones(tmp_path):
    with pytest.raises(InputError, match="must be one of quick, homework"):
        start(tmp_path, None, "fast")


def test_another_version_is_refused_with_the_remedy():
    settings = params.parse_params({
        "version": "9.9",
        "fetch": {"source": "facemask"},
        "train": {"recipes": {"a": {"network": "resnet18", "epochs": 1}}},
        "compare": {"arms": ["original"], "recipes": ["a"], "seeds": [0]},
    })  # fmt: skip
    with pytest.raises(InputError, match=r"version is 9.9, but toolkit .* is installed"):
        params.check_version(settings)


def test_images_that_fetch_would_refuse_are_refused_at_once(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 3, "b": 2})
    for folder in (photos, photos / "project"):
        with pytest.raises(InputError, match=r"data/raw: must not be inside fetch\.path"):
            start(folder, photos)
    assert sorted(path.name for path in photos.iterdir()) == ["a", "b"]


def test_the_next_command_can_be_pasted(tmp_path, start_there):
    said = start_there(tmp_path / "my project", None, "quick")
    assert said.endswith(f"next: cd '{tmp_path}/my project'; dvc repro")


def test_dvc_and_git_leave_out_what_a_killed_run_leaves(tmp_path, start_there):
    start_there(tmp_path, None, "quick")
    left = ["data/arms/.a.building/x/y.png", "models/.b.replaced/run.json", "reports/.c.lock"]
    for tool in ([sys.executable, "-m", "dvc"], ["git"]):
        command = [*tool, "check-ignore", *left]
        said = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=TIMEOUT
        )
        assert said.stdout.split() == left
