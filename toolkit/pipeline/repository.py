"""The git and DVC repositories of a project: started, and given their first commit."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from toolkit.errors import DISTRIBUTION, InputError
from toolkit.io import files

IDENTITY = (
    'git config --global user.name "Your Name"; git config --global user.email you@example.org'
)


def start_repositories(folder: Path) -> None:
    """Start git and DVC where they are not started yet; DVC below a repository of git as well.

    Whichever started it, DVC gets a private folder for its index, unless its settings name one.
    """
    dvc = (sys.executable, "-m", "dvc")  # ours, whatever the PATH says
    # DVC's own default is writable for everyone, and it unpickles what it finds there.
    cache = str(_private_cache())
    if not _git_root(folder):
        _run(folder, "git", "init", "--quiet")
    if not (folder / ".dvc").is_dir():
        inside = _git_root(folder) != files.resolve(folder)
        options = ["--subdir"] if inside else []
        _run(folder, *dvc, "init", "--quiet", *options, DVC_SITE_CACHE_DIR=cache)
        _run(folder, *dvc, "config", "core.analytics", "false")
    settings = [folder / ".dvc" / name for name in ("config", "config.local")]
    if not any(path.is_file() and "site_cache_dir" in path.read_text() for path in settings):
        _run(folder, *dvc, "config", "--local", "core.site_cache_dir", cache)


def commit_files(folder: Path, names: Sequence[str], message: str) -> list[str]:
    """Commit these files of a folder and no others: DVC's experiments start from a commit.

    Returns a line on what was not committed and how to do it, where git knows no name or refuses;
    none if all went well, or if there was nothing to commit.
    """
    names = [name for name in names if (folder / name).is_file()]
    command = f"git add {' '.join(map(quote, names))}; git commit -m {quote(message)}"
    try:
        _run(folder, "git", "add", "--", *names)
        if not _git(folder, "diff", "--cached", "--quiet", "--", *names).returncode:
            return []
        if _git(folder, "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT").returncode:
            command = f"{IDENTITY}; git commit -m {quote(message)}"
            return [
                "not committed, as git knows no name for you, and `dvc exp run` needs a commit; "
                f"in {folder}: {command}"
            ]
        _run(folder, "git", "commit", "--quiet", "--message", message, "--", *names)
    except InputError as error:
        return [f"not committed, which `dvc exp run` needs ({error}); in {folder}: {command}"]
    return []


def _private_cache() -> Path:
    """Make a folder in the user's cache that no other user can write to."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = files.resolve(cache) / DISTRIBUTION / "dvc"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _git_root(folder: Path) -> Path | None:
    done = _git(folder, "rev-parse", "--show-toplevel")
    return files.resolve(Path(done.stdout.strip())) if done.returncode == 0 else None


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603


def _run(folder: Path, *command: str, **environment: str) -> None:
    try:
        subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,  # nobody is asked
        )
    except FileNotFoundError:
        raise InputError(f"{command[0]} is not installed or not on the PATH") from None
    except subprocess.CalledProcessError as error:
        message = f"{folder}: `{' '.join(command)}` failed: {error.stderr.strip()}"
        raise InputError(message) from error
