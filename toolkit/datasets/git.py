"""One folder of one commit of a git repository, as bytes: nothing is checked out, no filter runs.

The commit and its trees are fetched without files, then the files of the folder by their ids. A
server that cannot do this is asked for more, in the order of ATTEMPTS. This takes the git program:
dulwich holds every object whole in memory before its size is known, and pygit2 cannot leave files
out.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from toolkit.datasets import archives
from toolkit.datasets.archives import SourceFile
from toolkit.datasets.folders import is_hidden
from toolkit.errors import InputError
from toolkit.io import files, inside
from toolkit.io.system import processes
from toolkit.io.text import strip_credentials
from toolkit.progress import Track, silent

DEADLINE = 3600.0  # seconds for one git command
STALL = 60  # seconds at under 1000 bytes each before git gives up
BATCH = 5000  # files requested at once
SCHEMES = ("https", "http", "git", "ssh", "file")
FILTER = "--filter=blob:none"
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
BY_ID = ("-c", "fetch.negotiationAlgorithm=noop", *FETCH, FILTER, "--stdin", "origin")
ATTEMPTS = (
    ("--depth=1", FILTER, "origin", "{}"),
    ("--depth=1", "origin", "{}"),
    ("origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"),
)
SETTINGS = (
    "protocol.ext.allow=never", "core.hooksPath=/dev/null", "credential.helper=", "gc.auto=0",
    "maintenance.auto=false", "http.lowSpeedLimit=1000", f"http.lowSpeedTime={STALL}",
)  # fmt: skip
ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
OBEYED = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_EXEC_PATH")


def fetch_tree(
    url: str, commit: str, folder: str, work: Path, track: Track = silent
) -> Iterator[SourceFile]:
    """Yield the files below `folder` ("" for all) of `commit` (40 hex digits), with paths below it.

    What was fetched is kept in `work`/git, so that a second run needs no network. A symbolic link
    is a file that holds its target, as git stores it; hidden files and submodules are left out.
    Raises InputError if git is missing, the URL is neither a path nor of one of SCHEMES, the
    repository cannot be reached or has no such commit, or the commit has no such folder.
    """
    base = inside.check_relative(folder.strip("/"), "fetch.folder")
    remote = resolve_url(url)
    key = hashlib.sha256("\0".join((remote, commit, str(base))).encode()).hexdigest()[:24]
    name, copy = strip_credentials(remote), work.resolve() / "git" / key
    tree = RemoteTree(remote, name, commit, "/".join(base.parts), copy)
    try:
        if not (copy / "HEAD").is_file():
            with files.new_folder(copy, marker="HEAD") as building:
                _fetch(replace(tree, copy=building), track)
        blobs = _list_blobs(tree)
    except subprocess.CalledProcessError:
        raise _damaged(tree) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{name}: git took longer than {DEADLINE:g} seconds") from None
    yield from _read_blobs(tree, blobs, track)


def resolve_url(url: str) -> str:
    """Return `url` as git may have it, a local path made absolute; refuse all other forms."""
    scheme, separator, _ = url.partition("://")
    if re.match(r"(\w+://)?([^/@]*@)?-|[\w.+-]*::", url):  # an option, or a helper program
        raise InputError(f"fetch.url must be an address or a path, got {url!r}")
    if separator and scheme not in SCHEMES:
        message = f"fetch.url must begin with one of {', '.join(SCHEMES)}, or be a path"
        raise InputError(f"{message}, got {scheme}://")
    if separator or (re.match(r"[^/]+:", url) and not Path(url).exists()):  # host:path is ssh
        return url
    return str(Path(url).expanduser().resolve())


@dataclass(frozen=True)
class RemoteTree:
    """One folder of one commit at an address, and the bare repository here that it is copied to."""

    url: str
    name: str  # the address without user and password, for messages
    commit: str
    folder: str
    copy: Path

    def run(self, *arguments: str, data: str = "") -> bytes:
        """Return what git prints. Raises CalledProcessError, or TimeoutExpired after DEADLINE."""
        with self.start(*arguments, errors=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(data.encode(), timeout=DEADLINE)
            except BaseException:
                processes.signal_group(process, processes.KILL)  # git's helpers too
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, "git", out, err)
        return out

    def start(self, *arguments: str, errors: int) -> subprocess.Popen[bytes]:
        """Start git in a process group of its own: no settings but ours, no hooks, no prompts."""
        program = shutil.which("git")
        if program is None:
            raise InputError("git: not found on this machine; install it (https://git-scm.com)")
        settings = (*SETTINGS, f"remote.origin.url={self.url}")
        options = [part for setting in settings for part in ("-c", setting)]
        return subprocess.Popen(  # noqa: S603 (no shell; url and folder were checked)
            [program, f"--git-dir={self.copy}", *options, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
            start_new_session=True,
        )


def _environment() -> dict[str, str]:
    """Return this process's variables without those that would redirect git or make it ask."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in OBEYED or not name.startswith(("GIT_", "SSH_ASKPASS"))
    }
    if "GIT_SSH" not in kept:
        kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30")
    return kept | ENVIRONMENT


def _fetch(tree: RemoteTree, track: Track) -> None:
    """Fill the copy with the commit, its trees, and the files below the folder."""
    try:
        tree.run("ls-remote", tree.url, "HEAD")
    except subprocess.CalledProcessError as error:
        message = f"{tree.name}: cannot be reached, or is not a git repository"
        raise InputError(f"{message} ({_reason(error)}); check fetch.url and the network") from None
    for options in ATTEMPTS:
        try:
            shutil.rmtree(tree.copy)
            tree.run("init", "--quiet", "--bare", "--template=")
            tree.run(*FETCH, *(option.format(tree.commit) for option in options))
            _check_folder(tree)
            return _fetch_blobs(tree, track)
        except subprocess.CalledProcessError as error:
            reason = _reason(error)
            if b"not our ref" in error.stderr:
                raise _no_commit(tree) from None
    raise InputError(f"{tree.name}: cannot fetch commit {tree.commit} ({reason})")


def _check_folder(tree: RemoteTree) -> None:
    names = f"{tree.commit}\n{tree.commit}:{tree.folder}\n"
    kinds = tree.run("cat-file", "--batch-check=%(objecttype)", data=names)
    if not kinds.startswith(b"commit\n"):
        raise _no_commit(tree)
    if kinds != b"commit\ntree\n":
        top = os.fsdecode(tree.run("ls-tree", "-d", "-z", "--name-only", tree.commit))
        folders = ", ".join(top.split("\0")[:-1][:10]) or "none"
        message = f"{tree.name}: commit {tree.commit} has no folder {tree.folder!r}"
        raise InputError(f"{message}; its folders are {folders}")


def _fetch_blobs(tree: RemoteTree, track: Track) -> None:
    """Fetch, by their ids, the files that the filter left out."""
    objects = tree.run("rev-list", "--objects", "--no-walk", "--missing=print", tree.commit)
    absent = {line[1:] for line in objects.decode(errors="replace").split("\n") if line[:1] == "?"}
    wanted = sorted(absent.intersection(blob for _, blob in _list_blobs(tree)))
    batches = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
    for batch in track(batches, "git", len(batches)):
        tree.run(*BY_ID, data="\n".join(batch) + "\n")


def _list_blobs(tree: RemoteTree) -> list[tuple[PurePosixPath, str]]:
    """Return path and id of each file below the folder."""
    blobs = []
    lines = tree.run("ls-tree", "-r", "-z", f"{tree.commit}:{tree.folder}")
    for line in os.fsdecode(lines).split("\0")[:-1]:
        entry, _, name = line.partition("\t")
        _, kind, blob = entry.split()
        path = inside.check_relative(name, tree.name)
        if kind == "blob" and not is_hidden(path):
            blobs.append((path, blob))
    return blobs


def _read_blobs(
    tree: RemoteTree, blobs: list[tuple[PurePosixPath, str]], track: Track
) -> Iterator[SourceFile]:
    budget = archives.Budget(tree.name)
    with tree.start("cat-file", "--batch", errors=subprocess.DEVNULL) as process:
        try:
            for path, blob in track(blobs, "read", len(blobs)):
                yield path, _read_blob(process, blob, str(path), budget)
        except (OSError, ValueError, IndexError) as error:
            raise error if isinstance(error, InputError) else _damaged(tree) from None
        finally:
            process.kill()


def _read_blob(
    process: subprocess.Popen[bytes], blob: str, name: str, budget: archives.Budget
) -> bytes:
    """Return one object of `git cat-file --batch`. Raises ValueError or the like if damaged."""
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise OSError("no pipe")
    stdin.write(f"{blob}\n".encode())
    stdin.flush()
    size = int(stdout.readline().split()[2])
    budget.spend(name, size)
    data = stdout.read(size)
    stdout.read(1)
    header = f"blob {size}\0".encode()
    if hashlib.sha1(header + data, usedforsecurity=False).hexdigest() != blob:
        raise ValueError("its content differs from its id")
    return data


def _no_commit(tree: RemoteTree) -> InputError:
    return InputError(f"{tree.name}: has no commit {tree.commit}; check fetch.commit")


def _damaged(tree: RemoteTree) -> InputError:
    return InputError(f"{tree.copy}: damaged; remove it and fetch again")


def _reason(error: subprocess.CalledProcessError) -> str:
    lines = [line for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
    return strip_credentials("; ".join(lines[-3:]))[:300] or f"git ended with {error.returncode}"
