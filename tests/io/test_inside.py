"""The gate for paths that come out of a file: nothing leads out of a folder, nothing hangs."""

import ast
import contextlib
import hashlib
import os
import resource
import socket
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given

import toolkit
from tests.fuzz import paths
from tests.fuzz.paths import LIMIT, PATHS
from toolkit.errors import InputError
from toolkit.io import inside, shards

LINK = "a symbolic link, which is not followed; if DVC made it: `dvc config cache.type"
OUT = "leads out with"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder full of traps, in a folder with a secret."""
    return paths.set_traps(tmp_path_factory.mktemp("top"))


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "a/b.png", "a//b", "./a/b/", ".", "", "a\\b", "C:", "..a"])
def test_paths_below_are_taken_in_normal_form(text):
    assert inside.check_relative(text) == PurePosixPath(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/etc/passwd", "must be relative"),
        ("//host/x", "must be relative"),
        ("\\\\host\\x", "must be relative"),
        ("C:\\x", "must be relative"),
        ("c:/x", "must be relative"),
        ("a\0", "must be relative"),
        ("..", OUT),
        ("../x", OUT),
        ("a/../x", OUT),
        ("a/..", OUT),
        ("./../x", OUT),
        ("\ud800", "not UTF-8"),
    ],
)
def test_other_paths_are_refused(text, message):
    with pytest.raises(InputError, match=f"table, row 1: .*{message}"):
        inside.check_relative(text, "table, row 1")


def test_leading_dots_are_allowed_where_they_are_asked_for():
    assert inside.check_relative("../../x/y", leading=True) == PurePosixPath("../../x/y")
    for text in ("..", "../..", "../x/../y", "../x/..", "/..", "x/.."):
        with pytest.raises(InputError):
            inside.check_relative(text, leading=True)


# --- reading ----------------------------------------------------------------------------------


@given(PATHS)
@example("a/in/f.png")
@example("x.tar/f.png")
@example("a/../../../secret")
@example("a/up/secret")
def test_no_path_reads_what_lies_outside(place, text):
    with contextlib.suppress(InputError):
        paths.check_reading(place, text)


@given(PATHS)
@example("link")
@example("up/in/f.png")
def test_links_lead_out_of_no_folder(place, text):
    with contextlib.suppress(InputError):
        paths.check_linked(place, text)


@given(PATHS)
@example("../../secret")
def test_outside_only_bytes_are_read_whose_hash_is_known(place, text):
    """A file of the folder has another hash than the row's."""
    with contextlib.suppress(InputError):
        paths.check_hashed(place, text)


@pytest.mark.parametrize("path", ["f.png", "a/f.png", "x.tar/f.png", "z.tar/f.png", "a//in/f.png/"])
def test_files_and_members_of_shards_are_read(place, path):
    assert inside.read_inside(place, path, LIMIT) == b"inside"
    assert inside.read_file(place / path, LIMIT) == b"inside"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("link", LINK),
        ("up/in/f.png", LINK),
        ("round", LINK),
        ("y.tar/f.png", LINK),
        ("pipe", "not a regular file"),
        ("pipe/x", r"cannot be read \(a part of the path is a file"),
        ("pipe.tar/x", "cannot be read"),
        ("a", "not a regular file"),
        ("x.tar", "bytes are more than 100"),
        ("x.tar/none", "the shard has no such member"),
        ("", "not a regular file"),
        (".", "not a regular file"),
        ("none", r"cannot be read \(there is no such file"),
        ("f.png/x", r"cannot be read \(a part of the path is a file"),
        ("n" * 300, r"cannot be read \(a name in the path is too long"),
        ("a/" * 3000 + "f.png", r"cannot be read"),
    ],
)
def test_everything_else_is_refused_with_its_reason(place, path, message):
    with pytest.raises(InputError, match=message):
        inside.read_inside(place, path, 100)


def test_what_this_process_lacks_is_not_a_fault_of_the_file(place):
    """An audit with too few descriptors would call good photos unreadable, and leave them out."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            inside.read_file(Path("/etc/passwd"), 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_devices_and_sockets_are_not_opened_for_reading(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        for folder, name in ((tmp_path, "s"), (Path("/dev"), "zero"), (Path("/dev"), "null")):
            with pytest.raises(InputError, match="not a regular file"):
                inside.read_inside(folder, name, LIMIT)
    with pytest.raises(InputError, match="not a regular file"):
        inside.read_file(Path("/dev/zero"), LIMIT)


def test_a_file_that_does_not_tell_its_size_is_read_within_the_limit():
    assert len(inside.read_inside(Path("/proc/self"), "status", LIMIT)) > 100
    with pytest.raises(InputError, match="are more than 50"):
        inside.read_inside(Path("/proc/self"), "status", 50)


def test_the_folder_is_the_users_and_may_be_a_link(place, tmp_path):
    (tmp_path / "here").symlink_to(place)
    assert inside.read_inside(tmp_path / "here", "f.png", LIMIT) == b"inside"
    with pytest.raises(InputError, match="cannot be read"):
        inside.read_inside(tmp_path / "none", "f.png", LIMIT)


def test_originals_elsewhere_are_read_from_where_the_folder_really_is(place, tmp_path):
    (tmp_path / "here").symlink_to(place)
    secret = hashlib.sha256(b"secret").hexdigest()
    assert inside.read_hashed(tmp_path / "here", "../../secret", secret, LIMIT) == b"secret"
    for path, message in (
        ("../../secret", "changed since the manifest was written"),
        ("../" * 99 + "x", OUT),
        ("../in/link", LINK),
        ("../in/pipe", "not a regular file"),
    ):
        with pytest.raises(InputError, match=message):
            inside.read_hashed(place, path, "0" * 64, LIMIT)


def test_links_into_the_folder_that_the_user_names_are_followed(tmp_path):
    """As a hub's cache has them: a link to a link to a file beside the folder."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1").write_bytes(b"1")
    (tmp_path / "blobs" / "2").symlink_to("1")
    (tmp_path / "here").symlink_to("blobs")
    (tmp_path / "in" / "cat").mkdir(parents=True)
    (tmp_path / "in" / "cat" / "relative").symlink_to("../../blobs/2")
    (tmp_path / "in" / "cat" / "absolute").symlink_to(tmp_path / "blobs" / "2")
    for name in ("relative", "absolute"):
        for root in (tmp_path / "blobs", tmp_path / "here", tmp_path):
            assert inside.read_linked(tmp_path / "in", f"cat/{name}", root, LIMIT) == b"1"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../secret", "a symbolic link that leads out of .*root"),
        ("/etc/passwd", "a symbolic link that leads out of"),
        ("/dev/zero", "a symbolic link that leads out of"),
        ("../root/out", "a symbolic link that leads out of"),
        ("../root/none", "a symbolic link that leads nowhere"),
        ("loop", "a symbolic link that leads nowhere"),
        ("../root/folder", "not a regular file"),
        ("../root", "not a regular file"),
        ("../root/pipe", "not a regular file"),
        ("../root/long", "bytes are more than 100"),
    ],
)
def test_links_to_anything_else_are_refused_with_the_reason(tmp_path, target, message):
    (tmp_path / "root" / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "root" / "out").symlink_to("../secret")
    (tmp_path / "root" / "long").write_bytes(bytes(101))
    os.mkfifo(tmp_path / "root" / "pipe")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "loop").symlink_to(target)
    with pytest.raises(InputError, match=message):
        inside.read_linked(tmp_path / "in", "loop", tmp_path / "root", 100)


def test_what_is_swapped_for_a_link_after_it_was_asked_for_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("root/file")
    (tmp_path / "root" / "file").symlink_to("../secret")
    file = str(tmp_path / "root" / "file")
    real = os.path.realpath

    def before_the_swap(path, **options):
        return file if Path(path).name == "link" else real(path, **options)

    monkeypatch.setattr(os.path, "realpath", before_the_swap)
    with pytest.raises(InputError, match=LINK):
        inside.read_linked(tmp_path, "link", tmp_path / "root", LIMIT)


def test_a_shard_whose_member_is_long_or_has_a_negative_size_is_refused(tmp_path):
    header = shards.member_header(b"f.png", 512)
    (tmp_path / "x.tar").write_bytes(header + bytes(512) + shards.END)
    with pytest.raises(InputError, match="512 bytes are more than 511"):
        inside.read_inside(tmp_path, "x.tar/f.png", 511)
    # With a size of -512 the next header would be the same again, for ever.
    forged = header[:124] + b"-0000001000\0" + header[136:148] + shards.BLANK + header[156:]
    checksum = b"%06o\0 " % sum(forged)
    (tmp_path / "x.tar").write_bytes(forged[:148] + checksum + forged[156:] + shards.END)
    with pytest.raises(InputError, match=r"damaged at byte 0: .* negative size"):
        inside.read_inside(tmp_path, "x.tar/f.png", LIMIT)


def swapping(monkeypatch, name, swap):
    """Call `swap` just before `name` is opened, after every check of its path."""
    original = os.open

    def opening(path, flags, *args, **options):
        if path == name:
            swap()
        return original(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", opening)


@pytest.mark.parametrize(("name", "path"), [("f.png", "c/f.png"), ("c", "c/f.png")])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_swapped_in_last_is_not_followed(tmp_path, monkeypatch, name, path, kind):
    (tmp_path / "in" / "c").mkdir(parents=True)
    (tmp_path / "in" / path).write_bytes(b"inside")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "f.png").write_bytes(b"secret")

    def swap():
        place = tmp_path / "in" / ("c" if name == "c" else path)
        if not place.is_symlink():
            place.rename(tmp_path / "was")
            if kind == "link":
                place.symlink_to(tmp_path / "c" if name == "c" else tmp_path / "c" / "f.png")
            else:
                os.mkfifo(place)

    swapping(monkeypatch, name, swap)
    with pytest.raises(InputError, match=r"symbolic link|not a regular file|is a file, not a"):
        inside.read_inside(tmp_path / "in", path, LIMIT)


# --- writing ----------------------------------------------------------------------------------


@given(PATHS)
@example("a/../../../secret")
@example("link")
@example("a/up/new")
def test_no_path_writes_outside(tmp_path_factory, text):
    with contextlib.suppress(InputError, OSError):
        paths.check_writing(paths.set_traps(tmp_path_factory.mktemp("w")), text)


def test_folders_are_made_and_files_are_replaced_if_wanted(tmp_path):
    inside.write_inside(tmp_path, "a/b/c", b"1")
    inside.write_inside(tmp_path, "a/b/c", b"22")
    assert (tmp_path / "a/b/c").read_bytes() == b"22"
    with pytest.raises(FileExistsError) as caught:
        inside.write_inside(tmp_path, "a/b/c", b"3", replace=False)
    assert caught.value.filename == str(tmp_path / "a/b/c")
    with pytest.raises(NotADirectoryError):
        inside.write_inside(tmp_path, "a/b/c/d", b"3")
    inside.make_folder(tmp_path, "x/y")
    inside.make_folder(tmp_path, "x/y")
    assert (tmp_path / "x" / "y").is_dir()
    with pytest.raises(InputError, match=OUT):
        inside.make_folder(tmp_path, "../x")


def test_a_folder_that_is_swapped_for_a_link_while_it_is_written_to_leads_nowhere(tmp_path):
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    with inside.folder_writer(folder) as write:
        write("a/1", b"1")
        (folder / "a").rename(folder / "was")
        (folder / "a").symlink_to(elsewhere)
        write("a/2", b"2")
        write("b/3", b"3")
        with pytest.raises(InputError, match=LINK):
            write("a/4", b"4")
    assert not list(elsewhere.iterdir())
    assert sorted(path.name for path in (folder / "was").iterdir()) == ["1", "2"]


# --- nobody goes around it --------------------------------------------------------------------

PACKAGE = Path(toolkit.__file__).parent
DATA = {"path", "paths", "name", "file", "home", "member", "relative", "sample", "row", "digest"}
"""Names of what may come out of a file."""
REVIEWED = {
    "datasets/hubs.py: base / path",
    """datasets/hubs.py: work / 'hub' / f"{name.replace('/', '--')}-{revision[:16]}\"""",
    # the gate, and names of samples in messages
    "io/inside.py: folder / relative",
    "io/inside.py: f'{shard.name}/{member}'",
    "io/system/below.py: _walk(folder) / name",
    "io/samples.py: folder / sample.path",
    # what the user named, and what was listed in a folder just now
    "augmentation/explain.py: place.parent / name",
    "augmentation/explain.py: place.parent.resolve() / place.name",
    "cli/training.py: paths.PROFILES / (output or arm).name",
    "datasets/folders.py: parent / entry.name",
    "datasets/folders.py: folder / path",
    "io/files.py: path.read_bytes()",
    "metrics/predictions.py: path.read_bytes()",
    "datasets/sources.py: root / path",
    "pipeline/steps/predict.py: place / path",
    # a row's text: originals that are not copied, and a picture's name that is checked before
    "augmentation/originals.py: f'{base}/{sample.path}'",
    "evaluation/results.py: folder / name",
    # ids, and labels, which are file names, in messages and in paths that go through the gate
    "augmentation/originals.py: f'{shards.shard_name(shard)}/{name}'",
    "datasets/prepare.py: f'{sample.label}/{manifest.prepared_stem(sample)}.png'",
    "io/manifest.py: f'{sample.split}/{sample.label} and {parent.split}/{parent.label}'",
    "pipeline/steps/advise.py: f'{sample.label}/{row}.png'",
    "pipeline/steps/predict.py: f'{folder}/{name}'",
    "reporting/page.py: f'{folder.parent.name}/{folder.name}'",
    "pipeline/steps/predict.py: folder / sample.path",  # a NamedImage is read through the gate
    "reporting/exchange.py: f'{folder}/{image.path}'",  # an address that nobody opens here
    # names from our own code
    "pipeline/project.py: folder / '.dvc' / 'plots' / name",
    "pipeline/steps/evaluate.py: folder / name",
    "pipeline/use/export.py: building / form.file",
    "pipeline/use/export.py: folder / form.file",
    "io/closure.py: PACKAGE.joinpath(*module.split('.')[1:])",
    "datasets/local.py: (unpacked or work / UNPACKED) / digest",
    "io/closure.py: path.read_bytes()",
    "io/manifest.py: folder / name",
    "pipeline/experiments.py: f'{folder}/{name}.json'",
    "pipeline/experiments.py: project / name",
    "pipeline/experiments.py: project / paths.PARAMS",
    "pipeline/provenance.py: building / f'{name}.json'",
    "pipeline/provenance.py: folder / f'{name}.json'",
    "pipeline/project.py: folder / name",
    "pipeline/repository.py: folder / '.dvc' / name",
    "pipeline/repository.py: folder / name",
    "pipeline/project.py: resources.files('toolkit.pipeline') / 'presets' / name",
    "pipeline/revisions.py: system.read_bytes(source)",
    "pipeline/revisions.py: target / Path(path).name",
    "pipeline/steps/augment.py: self.sheet.read_bytes()",
    "pipeline/steps/sweep.py: Path(output) / f'{name}.csv'",
    "pipeline/steps/sweep.py: Path(output) / f'{name}.png'",
    "pipeline/steps/sweep.py: paths.SWEEP_LOGS / f'{experiment.name}.log'",
    "pipeline/steps/sweep.py: self.picture.read_bytes()",
    "reporting/comparison.py: path.parent / f'{name}.csv'",
    "reporting/evaluation.py: folder / name",
    "reporting/evaluation.py: outputs.history.read_bytes()",
    "reporting/html.py: importlib.resources.files('toolkit.reporting') / 'templates' / name",
    "reporting/mistakes.py: folder / name",
    "reporting/page.py: folder / name",
    "training/checkpoints.py: path.read_bytes()",
    "training/checkpoints.py: self.folder / _name(digest)",
    "training/checkpoints.py: self.folder / name",  # a constant, or the number of a fold
    "training/dataset.py: path / name",
    "pipeline/steps/embed.py: Path('arms', arm)",
    "pipeline/steps/evaluate.py: paths.KEPT_EVALUATIONS / digest[:32]",
    "pipeline/steps/embed.py: building / name",
    "training/pretrained/features.py: building / name",
    "training/runs.py: folder / name",
}
"""Joins by hand that were looked at. Add one only if no stranger decides where it leads."""


def joins(tree):
    """Yield what joins a folder and such a name, or reads without a limit, past the gate."""
    return [ast.unparse(node) for node in ast.walk(tree) if is_join(node)]


def is_join(node):
    match node:
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            of_numbers = isinstance(left, ast.Subscript)
            return bool(DATA & mentioned(right)) and not of_numbers
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value="/"), of, *_]):
            return bool(DATA & mentioned(of))
        case ast.Call(func=ast.Attribute(attr="joinpath" | "read_bytes")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="path"), attr="join")):
            return True
        case ast.Call(func=ast.Name(id="Path"), args=[_, _, *_]):
            return True
    return False


def mentioned(node):
    """Variables, attributes and keys in an expression."""
    return {
        str(getattr(inner, field))
        for inner in ast.walk(node)
        for field in ("id", "attr", "value")
        if isinstance(getattr(inner, field, None), str)
    }


@pytest.mark.parametrize(
    "code",
    [
        "images.read_bounded(folder / path, limits)",
        "shards.read_member(traced.folder / traced.child.path)",
        "(folder / str(sample.path)).open('rb')",
        "files.write_plain(f'{building}/{name}', data)",
        "files.write_plain(folder / file_name(sample), data)",
        "path / file['path']",
        "folder.joinpath(x)",
        "os.path.join(folder, x)",
        "Path(folder, x)",
        "where.read_bytes()",
    ],
)
def test_a_join_by_hand_is_recognized(code):
    assert len(joins(ast.parse(code))) == 1


def test_every_path_of_a_file_goes_through_the_gate():
    made = {
        f"{module.relative_to(PACKAGE)}: {join}"
        for module in PACKAGE.rglob("*.py")
        for join in joins(ast.parse(module.read_text()))
    }
    assert made - REVIEWED == set(), "use toolkit.io.inside"
    assert made >= REVIEWED
