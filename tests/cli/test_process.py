"""The process around a command: what its environment is like changes nothing that it writes."""

import os
import shlex
import signal
import subprocess
import sys

import pytest

from tests.conftest import fill
from tests.helpers.waiting import TIMEOUT, wait_until
from toolkit.cli import process

TOOLKIT = (sys.executable, "-m", "toolkit")
LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""A locale of ASCII, of which Python is not to make UTF-8."""


def shell(folder, command: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a line of shell, in which `toolkit` is the command."""
    line = command.replace("toolkit", shlex.join(TOOLKIT))
    variables = {**os.environ, **environment}
    return subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=variables,
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
    )


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full", "<&- 2>&-", ">&- 2>&-"])
def test_a_stderr_that_takes_nothing_changes_neither_the_work_nor_the_exit_code(
    tmp_path, photos, redirected
):
    command = "toolkit augment photos --target 13 --workers 2 --output"
    assert shell(tmp_path, f"{command} out {redirected}").returncode == 0
    assert shell(tmp_path, f"{command} expected").returncode == 0
    out, expected = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("out", "expected")
    )
    assert out == expected
    assert shell(tmp_path, f"toolkit audit nowhere {redirected}").returncode == 1


def test_results_that_stdout_does_not_take_are_an_error(tmp_path):
    done = shell(tmp_path, "toolkit policies >/dev/full")
    assert done.returncode == 1
    assert done.stderr == b"error: no space left on the disk; make room, then run again\n"


def test_names_are_utf8_in_any_locale(tmp_path):
    fill(tmp_path / "höhe 猫", {"ä": 5, "b": 3})
    done = shell(tmp_path, "toolkit augment 'höhe 猫' --output ö --target 5", **LOCALE)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "ö" / "ä").iterdir())) == 5
    assert done.stderr.decode().splitlines()[-1].startswith("ö: written")
    done = shell(tmp_path, "toolkit audit 'höhe 猫'", **LOCALE)
    assert "ä" in done.stdout.decode()


def test_a_hangup_that_was_to_be_ignored_is_ignored(tmp_path, photos):
    """As nohup(1) wants it."""
    command = [*TOOLKIT, "augment", "photos", "--output", "out", "--target", "400", "--quiet"]
    process = subprocess.Popen(
        command, cwd=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    assert wait_until((tmp_path / ".out.building").exists, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=TIMEOUT) == 0


def test_another_package_of_the_same_name_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    process.warn_of_namesake()
    (tmp_path / "toolkit-0.1.dist-info").mkdir()
    process.warn_of_namesake()
    assert capsys.readouterr().err.count("pip uninstall toolkit") == 1


SWALLOWED = """
import signal, sys, time
from toolkit.cli import process

class Dropped:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

def run():
    Dropped()
    time.sleep(60)

sys.exit(process.stoppable(run))
"""


def test_a_signal_that_python_swallows_still_stops_the_command():
    """An error in a callback, as the import has some, is only printed by Python."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.startswith("stopped by SIGTERM")
    assert len(done.stderr.splitlines()) == 1
