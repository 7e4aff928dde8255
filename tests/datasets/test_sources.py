"""Every source through the same door; folders as people have them; nothing half-filled."""

import functools
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import threading
import types
import warnings
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import get_args

import pytest

from tests.helpers.waiting import TIMEOUT
from toolkit.datasets import archives, download, folders, hubs, params, sources
from toolkit.datasets.params import FetchParams
from toolkit.errors import InputError
from toolkit.io import images, manifest
from toolkit.pipeline.params import parse_params
from toolkit.progress import silent

ELPV = importlib.util.find_spec("elpv_dataset")
RED, BLUE = (images.encode_png(images.decode(b"P6 1 1 255 " + bytes(rgb)))
             for rgb in ((255, 0, 0), (0, 0, 255)))  # fmt: skip


def make_files(root, *paths, data=RED):
    """A folder with these files, every image of other bytes."""
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data + bytes([number]))
    return root


def settings(**values):
    """The fetch section, checked as yaml is."""
    return getattr(params, values["source"].title()).model_validate(values)


def zipped(folder, target):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"top/{path.relative_to(folder)}")
    return hashlib.sha256(target.read_bytes()).hexdigest()


def committed(folder):
    """The folder as the one commit of a repository."""
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-C", folder, *author, *command], check=True, timeout=TIMEOUT)
    done = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=TIMEOUT
    )
    return done.stdout.strip()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """(a folder, the URL it is served at)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "BACKOFF", ())
    (tmp_path / "site").mkdir()
    handler = functools.partial(Quiet, directory=tmp_path / "site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield tmp_path / "site", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def recorded_hub(photos):
    """The packages of hubs, for a data set that is a folder of this machine."""

    def snapshot_download(local_dir, **_):
        shutil.copytree(photos, local_dir, dirs_exist_ok=True)

    return types.SimpleNamespace(
        snapshot_download=snapshot_download, dataset_download=lambda _handle: str(photos)
    )


@pytest.fixture
def tiny_section(photos, site, tmp_path, monkeypatch):
    """A tiny section for each source; what needs the internet is served from here."""

    def section(name):
        if name == "elpv" and ELPV is None:
            pytest.skip("the extra elpv is not installed")
        if name == "archive":
            digest = zipped(photos, site[0] / "a.zip")
            url = f"{site[1]}/a.zip"
            return settings(source="archive", location=url, sha256=digest, folder="top")
        if name in ("git", "facemask"):
            commit = committed(tmp_path)
            tiny = settings(source="git", url=str(tmp_path), commit=commit, folder="photos")
            monkeypatch.setattr(sources, "FACEMASK", tiny)
            return tiny if name == "git" else settings(source=name)
        if name in ("huggingface", "kaggle"):
            monkeypatch.setattr(hubs, "import_package", lambda _package: recorded_hub(photos))
            pinned = {"revision": "0" * 40} if name == "huggingface" else {"version": 1}
            return settings(source=name, name="me/set", **pinned)
        counts = {"with_mask": 3, "without_mask": 2}
        values = {"synthetic": {"counts": counts, "size": 32}, "folder": {"path": str(photos)}}
        return settings(source=name, **values.get(name, {}))

    return section


@pytest.mark.parametrize("name", sources.SOURCES)
def test_every_source_gives_classes_of_images_and_the_same_twice(name, tiny_section, tmp_path):
    section = tiny_section(name)
    output = tmp_path / "data" / "raw"
    fetched = sources.fetch_source(section, output, tmp_path / "work")
    assert len(fetched.classes) >= 2
    assert all(fetched.counts().values())
    assert fetched.notes["rejected"] == []
    assert fetched.notes["read"].endswith(f"), {len(fetched.samples):,} images")
    assert folders.scan(output) == fetched == manifest.read_manifest(output)
    for sample in fetched.samples[::100]:
        data = (output / sample.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sample.group == manifest.content_hash(sample)
    table = (output / "manifest.csv").read_bytes()
    sources.fetch_source(section, output, tmp_path / "work")
    assert (output / "manifest.csv").read_bytes() == table


def test_every_section_of_params_has_its_source():
    names = get_args(get_args(FetchParams)[0])
    assert {kind.model_fields["source"].annotation.__args__[0] for kind in names} == set(
        sources.SOURCES
    )


def test_facemask_is_the_published_commit():
    named = sources.FACEMASK
    assert named.url == "https://github.com/chandrikadeb7/Face-Mask-Detection"
    assert (named.commit, named.folder) == ("7e500749401bad4bb338790fbdb89b58e41ef2d9", "dataset")


def test_bytes_are_kept_whatever_the_format(tmp_path):
    root = make_files(tmp_path / "root", "train/a/odd 'name.png", "train/b/x.png", "test/b/no.txt")
    (root / "test" / "b" / "no.txt").write_bytes(b"text")
    (root / "train" / "a" / "link.png").symlink_to("odd 'name.png")
    section = settings(source="folder", path=str(root))
    fetched = sources.fetch_source(section, tmp_path / "raw", tmp_path)
    for path in ("train/a/odd 'name.png", "train/b/x.png", "test/b/no.txt"):
        assert (tmp_path / "raw" / path).read_bytes() == (root / path).read_bytes()
    rejected = {item["path"]: item["reason"] for item in fetched.notes["rejected"]}
    assert rejected["test/b/no.txt"].startswith("not an image")
    assert rejected["train/a/link.png"].startswith("a symbolic link, which is not followed; to")
    assert not os.path.lexists(tmp_path / "raw" / "train" / "a" / "link.png")
    assert sources.fetch_source(section, tmp_path / "raw", tmp_path) == fetched  # all is its own


def archive(tmp_path, **entries):
    """An archive section; `entries` are {path with __ for /: bytes}."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, data in entries.items():
            packed.writestr(name.replace("__", "/"), data)
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    return settings(source="archive", location=str(tmp_path / "a.zip"), sha256=digest)


REFUSED = {
    "no class folder; expected <split>/<class>/file or <class>/file": {"top.png": RED},
    "two classes are needed, found only 'a', with a/x/1.png": {"a__x__1.png": RED},
    "class 'b' has no image: 2 files are not used, of 2: not an image .* the first is b/1.png": {
        "a__1.png": RED, "b__1.png": b"text", "b__2.png": b"text",
    },
    "the path 'a/x/1.png' occurs more than once": {"a__x": RED, "a__x__1.png": RED},
    "leads out": {"a__1.png": RED, "b__1.png": BLUE, "..__x.png": RED},
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_a_source_that_is_no_use_leaves_the_old_output(message, tmp_path):
    make_files(tmp_path / "good", "a/1.png", "b/1.png")
    output = tmp_path / "raw"
    old = sources.fetch_source(
        settings(source="folder", path=str(tmp_path / "good")), output, tmp_path
    )
    for target in (output, tmp_path / "new"):
        with pytest.raises(InputError, match=message):
            sources.fetch_source(archive(tmp_path, **REFUSED[message]), target, tmp_path)
    assert manifest.read_manifest(output) == old
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")) == [
        "a.zip", "good", "raw",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "folder", "path": "missing"}, "missing: no such folder; check fetch.path"),
        (
            {"source": "archive", "location": "missing.zip", "sha256": "0" * 64},
            r"missing.zip: no such archive; check fetch.location",
        ),
        (
            {"source": "archive", "location": "SITE/none.zip", "sha256": "0" * 64},
            r"none.zip: HTTP status 404",
        ),
        (
            {"source": "archive", "location": "SITE/page.zip", "sha256": "0" * 64},
            r"page.zip: sha256 must be 0{64}, found [0-9a-f]{64} .* it is a web page",
        ),
        (
            {"source": "archive", "location": "http://host.invalid/x.zip", "sha256": "0" * 64},
            r"http://host.invalid/x.zip: cannot be downloaded",
        ),
        (
            {"source": "git", "url": "http://host.invalid/x", "commit": "0" * 40},
            r"http://host.invalid/x: cannot be reached",
        ),
    ],
)
def test_a_source_that_cannot_be_had_leaves_nothing(values, message, site, tmp_path, monkeypatch):
    (site[0] / "page.zip").write_text("<!DOCTYPE html><html></html>")
    monkeypatch.chdir(tmp_path)
    filled = {name: value.replace("SITE", site[1]) for name, value in values.items()}
    with pytest.raises(InputError, match=message):
        sources.fetch_source(settings(**filled), tmp_path / "raw", tmp_path / "work")
    assert not (tmp_path / "raw").exists()
    assert not list((tmp_path / "work").rglob("*.part"))


SECTIONS = {
    "huggingface": {"name": "me/set", "revision": "0" * 40},
    "kaggle": {"name": "me/set", "version": 1},
    "synthetic": {"counts": {"with_mask": 3, "without_mask": 2}},
    "folder": {"path": "x"},
    "archive": {"location": "x", "sha256": "0" * 64},
    "git": {"url": "x", "commit": "0" * 40},
    "facemask": {},
    "elpv": {},
}


@pytest.mark.parametrize("name", sources.SOURCES)
def test_unknown_keys_are_refused(name):
    data = {"fetch": {"source": name, **SECTIONS[name], "color": 1}, "train": {}, "compare": {}}
    with pytest.raises(InputError, match=r"params.yaml: fetch.color is not a known key"):
        parse_params(data)


def test_an_archive_cannot_bring_its_own_manifest(tmp_path):
    """What stands at the top belongs to no class and is not written."""
    section = archive(
        tmp_path,
        **{"manifest.csv": b"x", "manifest.json": b"{}", "a__1.png": RED, "b__1.png": BLUE},
    )
    fetched = sources.fetch_source(section, tmp_path / "raw", tmp_path)
    assert manifest.read_manifest(tmp_path / "raw") == fetched
    assert len(fetched.samples) == 2


def test_an_archive_is_verified_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "unpack_archive", lambda *_: pytest.fail("unpacked"))
    section = archive(tmp_path, a__1=RED).model_copy(update={"sha256": "0" * 64})
    with pytest.raises(InputError, match=r"a.zip: sha256 must be 0+, found"):
        sources.fetch_source(section, tmp_path / "raw", tmp_path)


def test_source_output_and_work_must_lie_apart(tmp_path):
    root = make_files(tmp_path / "root", "a/1.png", "b/1.png")
    section = settings(source="folder", path=str(root))
    with pytest.raises(InputError, match=r"root/raw: must not be inside fetch.path"):
        sources.fetch_source(section, root / "raw", tmp_path)
    for output, work in ((tmp_path, tmp_path.parent), (root, tmp_path)):
        with pytest.raises(InputError, match=r"must not be inside"):
            sources.fetch_source(section, output, work)
    with pytest.raises(InputError, match=r"root/work: must not be inside the output"):
        sources.fetch_source(settings(source="facemask"), root, root / "work")
    with pytest.raises(InputError, match=r"a.zip: must not be inside the output"):
        sources.fetch_source(archive(root, a__1=RED), root, tmp_path)


def test_an_empty_class_is_refused(tmp_path):
    """Files alone would not tell."""
    root = make_files(tmp_path / "root", "train/a/1.png", "train/b/1.png")
    (root / "train" / "c").mkdir()
    with pytest.raises(InputError, match="root: class 'c' has no image: its folder is empty"):
        sources.fetch_source(settings(source="folder", path=str(root)), tmp_path / "raw", tmp_path)


def test_paths_without_end_are_refused(tmp_path):
    section = archive(tmp_path, **{"__".join(["a"] * 500): RED})
    with pytest.raises(InputError, match="a path below 'a/a/a' is more than 64 folders deep"):
        sources.fetch_source(section, tmp_path / "raw", tmp_path)


@pytest.mark.parametrize("second", ["a/1.png", "a/./1.png", "a//1.png", "a/1.png/2.png"])
def test_a_name_that_stands_twice_refuses_the_whole(second, tmp_path):
    path = tmp_path / "twice.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as packed:
        warnings.simplefilter("ignore")
        for name in ("a/1.png", second):
            packed.writestr(name, RED)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    section = settings(source="archive", location=str(path), sha256=digest)
    with pytest.raises(InputError, match=r"fetch: the path 'a/1.png.*' occurs more than once"):
        sources.fetch_source(section, tmp_path / "raw", tmp_path)
    assert not (tmp_path / "raw").exists()


def test_links_pipes_and_huge_files_are_told_and_not_copied(tmp_path):
    """Links that dangle, loop, or lead to a folder or out of this one; the rest is taken."""
    root = make_files(tmp_path / "root", "a/1.png", "b/1.png")
    for name, target in (("out", "/etc"), ("a/loop", "loop"), ("b/up", ".."), ("b/gone", "no")):
        (root / name).symlink_to(target)
    os.mkfifo(root / "b" / "pipe")
    with (root / "b" / "huge.png").open("wb") as stream:
        stream.truncate(images.LIMITS.bytes + 1)
    fetched = sources.fetch_source(
        settings(source="folder", path=str(root)), tmp_path / "raw", tmp_path
    )
    link = "a symbolic link, which is not followed; it leads to no file"
    assert {item["path"]: item["reason"] for item in fetched.notes["rejected"]} == {
        "a/loop": link, "b/gone": link, "b/up": link, "out": link, "b/pipe": "not a regular file",
        "b/huge.png": "200,000,001 bytes are more than 200,000,000",
    }  # fmt: skip
    kept = {p.relative_to(tmp_path / "raw").as_posix() for p in (tmp_path / "raw").rglob("*.*")}
    assert kept == {"a/1.png", "b/1.png", "manifest.csv", "manifest.json"}


@pytest.mark.skipif(ELPV is None, reason="the extra elpv is not installed")
@pytest.mark.parametrize(("threshold", "defective"), [(0.3, 1116), (0.5, 821), (1.0, 715)])
def test_elpv_cells_are_defective_from_the_threshold_on(threshold, defective, tmp_path):
    """Counts of the package's labels.csv: 715 at 1, 106 at 2/3, 295 at 1/3, 1508 at 0."""
    entries = sources.SOURCES["elpv"](
        settings(source="elpv", threshold=threshold), tmp_path, silent
    )
    labels = [path.parts[0] for path, _ in entries]
    assert (labels.count("defective"), len(labels)) == (defective, 2624)


def test_elpv_without_its_package_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'imbalanced-images\[elpv\]'"):
        sources.fetch_source(settings(source="elpv"), tmp_path / "raw", tmp_path)


def test_in_dvcs_copy_of_a_project_paths_are_relative_to_the_project(tmp_path, monkeypatch):
    make_files(tmp_path / "photos", "a/1.png", "b/2.png")
    copy = tmp_path / "project" / ".dvc" / "tmp" / "exps" / "tmp1"
    copy.mkdir(parents=True)
    settings = params.Folder(source="folder", path="../photos")
    for place in (tmp_path / "project", copy):
        monkeypatch.chdir(place)
        assert sources.inspect_source(settings)["files"] == 2
        assert len(sources.fetch_source(settings, place / "raw", place / "work").samples) == 2


# --- what is chosen, grouped and linked -------------------------------------------------------


def test_what_the_settings_leave_out_is_counted_and_not_kept(tmp_path):
    make_files(tmp_path / "in", "a/1.png", "a/1_mask.png", "b/2.png", "b/old/3.png", "c/4.jpg")
    make_files(tmp_path / "in", "x/notes.txt", data=b"text")
    chosen = settings(
        source="folder", path=str(tmp_path / "in"), only=["*.png"], leave_out=["*_mask.*", "old"]
    )
    fetched = sources.fetch_source(chosen, tmp_path / "raw", tmp_path)
    assert [s.path for s in fetched.samples] == ["a/1.png", "b/2.png"]
    assert fetched.notes["rejected"] == []
    said = "left out by fetch.leave_out: 2; left out by fetch.only: 1"
    assert fetched.notes["read"].endswith(f"2 images; {said}")
    kept = {path.name for path in (tmp_path / "raw").rglob("*.*")}
    assert kept == {"1.png", "2.png", "manifest.csv", "manifest.json"}


def test_the_same_is_left_out_of_an_archive(tmp_path):
    make_files(tmp_path / "in", "a/1.png", "a/1_mask.png", "b/2.png")
    digest = zipped(tmp_path / "in", tmp_path / "x.zip")
    chosen = settings(source="archive", location=str(tmp_path / "x.zip"), sha256=digest,
                      folder="top", leave_out=["*_mask.*"])  # fmt: skip
    fetched = sources.fetch_source(chosen, tmp_path / "raw", tmp_path)
    assert len(fetched.samples) == 2
    with pytest.raises(InputError, match=r"fetch.only: \['\*.tif'\] leaves out all 3 files"):
        sources.fetch_source(
            chosen.model_copy(update={"only": ["*.tif"]}), tmp_path / "new", tmp_path
        )
    assert not (tmp_path / "new").exists()


def test_classes_are_left_out_merged_and_small_ones_taken_together(tmp_path):
    make_files(tmp_path / "in", *(f"{name}/{n}.png" for name in "aab" for n in range(3)))
    make_files(tmp_path / "in", "c/1.png", "d/1.png", "e/1.png", "e/2.png", data=BLUE)
    classes = {"leave_out": ["e"], "merge": {"ab": ["a", "b"]}, "smallest": 2,
               "below": "merge"}  # fmt: skip
    chosen = settings(source="folder", path=str(tmp_path / "in"), classes=classes)
    fetched = sources.fetch_source(chosen, tmp_path / "raw", tmp_path)
    assert fetched.counts() == {"ab": 6, "other": 2}
    assert fetched.notes["read"].endswith(
        "8 images; a, b -> ab; c, d -> other; left out by fetch.classes.leave_out: 2 (e)"
    )
    assert not list((tmp_path / "raw").glob("e/*"))


def test_a_group_of_the_name_is_that_of_the_manifest(tmp_path):
    make_files(tmp_path / "in", "a/p1_1.png", "a/p1_2.png", "b/p2_1.png", "b/x.png")
    chosen = settings(source="folder", path=str(tmp_path / "in"), group="^(.+)_")
    fetched = sources.fetch_source(chosen, tmp_path / "raw", tmp_path)
    assert [s.group for s in fetched.samples[:3]] == ["p1", "p1", "p2"]
    assert fetched.samples[3].group == fetched.samples[3].id
    assert "2 groups by fetch.group (1 files have none)" in fetched.notes["read"]


@pytest.fixture
def linked(tmp_path):
    """Two classes of links to files in the folder blobs, and one link to a secret beside it."""
    make_files(tmp_path / "blobs", "1", "2", "3")
    (tmp_path / "secret").write_bytes(RED)
    for name, target in (("a/1.png", "blobs/1"), ("a/2.png", "blobs/2"), ("b/3.png", "blobs/3"),
                         ("b/4.png", "secret"), ("b/5.png", "none")):  # fmt: skip
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).symlink_to(f"../../{target}")
    return tmp_path


def test_links_are_told_with_their_number_and_the_setting(linked):
    (linked / "in" / "b" / "4.png").unlink()
    chosen = settings(source="folder", path=str(linked / "in"))
    message = (
        "class 'a' has no image: 2 files are not used, of 2: a symbolic link, which is not "
        r"followed \(2\); .*; to read such links, set fetch.follow_links .* to .*/blobs$"
    )
    with pytest.raises(InputError, match=message):
        sources.fetch_source(chosen, linked / "raw", linked)


def test_links_into_the_named_folder_become_files_and_no_others(linked):
    chosen = settings(source="folder", path=str(linked / "in"), follow_links=str(linked / "blobs"))
    fetched = sources.fetch_source(chosen, linked / "raw", linked)
    assert [s.path for s in fetched.samples] == ["a/1.png", "a/2.png", "b/3.png"]
    assert not any(path.is_symlink() for path in (linked / "raw").rglob("*"))
    leads_out, nowhere = (file["reason"] for file in fetched.notes["rejected"])
    assert leads_out.startswith("a symbolic link that leads out of")
    assert nowhere.startswith("a symbolic link that leads nowhere")
    assert RED not in [path.read_bytes() for path in (linked / "raw").rglob("*.png")]


def test_a_change_to_what_a_link_leads_to_is_noticed(linked):
    followed, not_followed = (
        settings(source="folder", path=str(linked / "in"), follow_links=links)
        for links in (str(linked / "blobs"), "")
    )
    before = sources.inspect_source(followed), sources.inspect_source(not_followed)
    (linked / "blobs" / "1").write_bytes(BLUE)
    assert sources.inspect_source(followed) != before[0]
    assert sources.inspect_source(not_followed) == before[1]


def test_links_of_an_archive_are_never_followed():
    with pytest.raises(InputError, match="follow_links goes with source folder; links of others"):
        parse_params({"fetch": {"source": "git", "url": "x", "commit": "0" * 40,
                                "follow_links": "/"}})  # fmt: skip
