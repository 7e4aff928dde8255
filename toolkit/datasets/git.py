"""One folder of one commit of a git repository, as bytes: nothing is checked out, no filter runs.

The commit and its trees are fetched without files, then the files of the folder by their ids. A
server that cannot do this is asked for more, in the order of ATTEMPTS.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from toolkit.datasets import archives
from toolkit.datasets.archives import ArchiveEntry
from toolkit.datasets.folders import hidden
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.io.text import without_logins
from toolkit.progress import Track, silent

DEADLINE = 3600.0  # seconds for one git command
STALL = 60  # seconds with less than 1000 bytes each
BATCH = 5000  # files asked for at once
SCHEMES = ("https", "http", "git", "ssh", "file")
FILTER = "--filter=blob:none"
FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
ATTEMPTS = (
    ("--depth=1", FILTER, "origin", "{commit}"),
    ("--depth=1", "origin", "{commit}"),
    ("origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"),
)
SETTINGS = (
    "protocol.ext.allow=never", "core.hooksPath=/dev/null", "credential.helper=", "gc.auto=0",
    "maintenance.auto=false", "http.lowSpeedLimit=1000", f"http.lowSpeedTime={STALL}",
)  # fmt: skip
NO_COMMIT = "has no commit {}; check fetch.commit"


def tree_entries(
    url: str, commit: str, folder: str, work: Path, track: Track = silent
) -> Iterator[ArchiveEntry]:
    """The files below `folder` ("" for all) of `commit` (40 hex digits), with paths below it.

    What was fetched is kept in `work`/git, so that a second run needs no network. A symbolic link
    is a file that holds its target, as git stores it; hidden files and submodules are left out.
    Raises InputError where git is missing, the URL is not of SCHEMES nor a path, the repository
    cannot be reached, or has no such commit, or the commit no such folder.
    """
    base = archives.member_path(folder.strip("/"), "fetch.folder")
    remote = address(url)
    key = hashlib.sha256("\0".join((remote, commit, str(base))).encode()).hexdigest()[:24]
    kept = Repository(work.resolve() / "git" / key, remote, without_logins(remote))
    if not (kept.path / "HEAD").is_file():
        with files.new_folder(kept.path, marker="HEAD") as building:
            _fetch(replace(kept, path=building), commit, base, track)
    try:
        listing = _listing(kept, commit, base)
    except subprocess.CalledProcessError:
        raise InputError(f"{kept.path}: damaged; remove it and fetch again") from None
    yield from _read(kept, listing, track)


def address(url: str) -> str:
    """`url` as git may have it; a local path becomes absolute. Raises InputError for all others."""
    scheme, separator, _ = url.partition("://")
    if re.match(r"(\w+://)?([^/@]*@)?-|[\w.+-]*::", url):  # an option, or a helper
        raise InputError(f"fetch.url must be an address or a path, got {url!r}")
    if separator and scheme not in SCHEMES:
        message = f"fetch.url must begin with one of {', '.join(SCHEMES)}, or be a path"
        raise InputError(f"{message}, got {scheme}://")
    if separator or (re.match(r"[^/]+:", url) and not Path(url).exists()):  # host:path is ssh
        return url
    return str(Path(url).expanduser().resolve())


@dataclass(frozen=True)
class Repository:
    """A bare repository of ours, and where it comes from."""

    path: Path
    url: str
    shown: str  # the URL without user and password

    def run(self, *arguments: str, data: str = "") -> bytes:
        """What git prints. Raises CalledProcessError, or InputError after DEADLINE seconds."""
        with self.start(*arguments, errors=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(data.encode(), timeout=DEADLINE)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)  # git's helpers too
                if isinstance(error, subprocess.TimeoutExpired):
                    message = f"{self.shown}: git took longer than {DEADLINE:g} seconds"
                    raise InputError(message) from None
                raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, "git", out, err)
        return out

    def kind(self, name: str) -> str:
        """The type of the object `name`: "commit", "tree", or something else if there is none."""
        return (
            self.run("cat-file", "--batch-check=%(objecttype)", data=f"{name}\n").decode().strip()
        )

    def start(self, *arguments: str, errors: int) -> subprocess.Popen[bytes]:
        """git, in its own process group: with no settings but ours, no hooks, no prompts."""
        program = shutil.which("git")
        if program is None:
            raise InputError("git: not found on this machine; install it (https://git-scm.com)")
        options = [part for setting in SETTINGS for part in ("-c", setting)]
        return subprocess.Popen(  # noqa: S603 (no shell; `address` and `inside` checked the rest)
            [program, f"--git-dir={self.path}", *options, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
            start_new_session=True,
        )


def _environment() -> dict[str, str]:
    """Ours, without what would point git elsewhere or let it ask."""
    ours = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_EXEC_PATH")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ours or not name.startswith(("GIT_", "SSH_ASKPASS"))
    }
    if "GIT_SSH" not in kept:
        kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30")
    return kept | {
        "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _fetch(repo: Repository, commit: str, base: PurePosixPath, track: Track) -> None:
    """Fill `repo` with the commit, its trees, and the files below `base`."""
    try:
        repo.run("ls-remote", repo.url, "HEAD")
    except subprocess.CalledProcessError as error:
        message = f"{repo.shown}: cannot be reached, or is not a git repository"
        raise InputError(f"{message} ({_reason(error)}); check fetch.url and the network") from None
    reason = ""
    for attempt in ATTEMPTS:
        try:
            _begin(repo, [part.format(commit=commit) for part in attempt])
            _require(repo, commit, base)
            _fill(repo, commit, base, track)
        except subprocess.CalledProcessError as error:
            reason = _reason(error)
            if b"not our ref" in error.stderr:
                raise InputError(f"{repo.shown}: {NO_COMMIT.format(commit)}") from None
        else:
            return
    raise InputError(f"{repo.shown}: cannot fetch commit {commit} ({reason})")


def _begin(repo: Repository, arguments: list[str]) -> None:
    """Fetch into an empty repository."""
    shutil.rmtree(repo.path)
    repo.run("init", "--quiet", "--bare", "--template=")
    repo.run("remote", "add", "origin", repo.url)
    repo.run(*FETCH, *arguments)


def _require(repo: Repository, commit: str, base: PurePosixPath) -> None:
    if repo.kind(commit) != "commit":
        raise InputError(f"{repo.shown}: {NO_COMMIT.format(commit)}")
    if repo.kind(_tree(commit, base)) != "tree":
        top = os.fsdecode(repo.run("ls-tree", "-d", "-z", "--name-only", commit))
        folders = ", ".join(top.split("\0")[:-1][:10]) or "none"
        message = f"{repo.shown}: commit {commit} has no folder {str(base)!r}; its folders are"
        raise InputError(f"{message} {folders}")


def _fill(repo: Repository, commit: str, base: PurePosixPath, track: Track) -> None:
    """Fetch by their ids the files that the server left out on our wish."""
    wanted = {blob for _, blob in _listing(repo, commit, base)}
    listed = repo.run("rev-list", "--objects", "--no-walk", "--missing=print", commit)
    lines = listed.decode(errors="replace").splitlines()
    missing = sorted(wanted & {line[1:] for line in lines if line.startswith("?")})
    batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    plain = ("-c", "fetch.negotiationAlgorithm=noop", *FETCH, FILTER, "--stdin", "origin")
    for batch in track(batches, "git", len(batches)):
        repo.run(*plain, data="\n".join(batch) + "\n")


def _tree(commit: str, base: PurePosixPath) -> str:
    return f"{commit}:{base}" if base.parts else f"{commit}:"


def _listing(repo: Repository, commit: str, base: PurePosixPath) -> list[tuple[PurePosixPath, str]]:
    """Path and id of each file below `base`."""
    found = []
    for line in os.fsdecode(repo.run("ls-tree", "-r", "-z", _tree(commit, base))).split("\0")[:-1]:
        about, _, name = line.partition("\t")
        _, kind, blob = about.split()
        path = archives.member_path(name, repo.shown)
        if kind == "blob" and not hidden(path):
            found.append((path, blob))
    return found


def _read(
    repo: Repository, listing: list[tuple[PurePosixPath, str]], track: Track
) -> Iterator[ArchiveEntry]:
    budget = archives.Budget(repo.shown)
    with repo.start("cat-file", "--batch", errors=subprocess.DEVNULL) as process:
        try:
            for path, blob in track(listing, "read", len(listing)):
                yield path, _blob(process, blob, str(path), budget)
        except InputError:
            raise
        except (OSError, ValueError, IndexError):
            raise InputError(f"{repo.path}: damaged; remove it and fetch again") from None
        finally:
            process.kill()


def _blob(process: subprocess.Popen[bytes], blob: str, name: str, budget: archives.Budget) -> bytes:
    """One object of `git cat-file --batch`. Raises ValueError or the like where it is damaged."""
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise OSError("no pipe")
    stdin.write(f"{blob}\n".encode())
    stdin.flush()
    size = int(stdout.readline().split()[2])
    budget.spend(name, size)
    data = stdout.read(size)
    stdout.read(1)
    head = f"blob {size}\0".encode()
    if hashlib.sha1(head + data, usedforsecurity=False).hexdigest() != blob:
        raise ValueError("another content than its id says")
    return data


def _reason(error: subprocess.CalledProcessError) -> str:
    lines = [line for line in error.stderr.decode(errors="replace").splitlines() if line.strip()]
    return without_logins("; ".join(lines[-3:]))[:300] or f"git ended with {error.returncode}"
