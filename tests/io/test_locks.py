"""One process at a time writes an output, whatever its environment, and locks leave nothing."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.io import files

HOLD = """
import sys, time; from pathlib import Path; from toolkit.io import files
with files.exclusive(Path(sys.argv[1])): print(flush=True); time.sleep(60)
"""
COUNT = """
import sys; from pathlib import Path; from toolkit.io import files
number = Path(sys.argv[1])
files.ATTEMPTS, files.PAUSE = 10**6, 0
for _ in range(100):
    with files.exclusive(number): number.write_text(str(int(number.read_text()) + 1))
"""
WRITE = """
import sys; from pathlib import Path; from toolkit.io import files
with files.new_folder(Path(sys.argv[1])): pass
"""


def start(code: str, path: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_a_second_writer_is_refused_whatever_its_folder_for_temporary_files(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "elsewhere")}
    with files.exclusive(tmp_path / "out"), start(WRITE, tmp_path / "out", env=environment) as one:
        assert b"out: another process is writing it" in one.communicate(timeout=TIMEOUT)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    with start(HOLD, tmp_path / "out") as holder:
        holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
    assert (tmp_path / ".out.lock").exists()
    with files.exclusive(tmp_path / "out"):
        pass
    assert not any(tmp_path.iterdir())


def test_locks_that_come_and_go_never_let_two_in(tmp_path):
    (tmp_path / "number").write_text("0")
    several = [start(COUNT, tmp_path / "number") for _ in range(4)]
    assert [one.communicate(timeout=TIMEOUT)[1] for one in several] == [b""] * 4
    assert (tmp_path / "number").read_text() == "400"


PLANTED = {
    "link": lambda place, mine: place.symlink_to(mine),
    "second name": lambda place, mine: place.hardlink_to(mine),
    "pipe": lambda place, _: os.mkfifo(place),
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("name", [".out.lock", ".out.tmp"])
def test_what_was_put_where_a_lock_goes_is_not_written_to(tmp_path, monkeypatch, kind, name):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    PLANTED[kind](tmp_path / name, mine)
    message = f"{name}: .*stands where a temporary file goes; remove it"
    with pytest.raises(InputError, match=message), files.locked(tmp_path / name, tmp_path / "out"):
        pass
    assert mine.read_text() == "precious"


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    message = "out: the file system has no locks"
    with pytest.raises(InputError, match=message), files.exclusive(tmp_path / "out"):
        pass


def test_a_file_that_another_process_writes_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ATTEMPTS", 1)
    with files.csv_table(tmp_path / "a.csv", ["x"]) as add:
        with pytest.raises(InputError, match=r"a\.csv: another process is writing it"):
            files.write_file(tmp_path / "a.csv", "mine")
        add([1])
    assert (tmp_path / "a.csv").read_text() == "x\n1\n"
