"""What is printed is one line that no file's name can make into something else."""

import errno
import io

import pytest
from rich.console import Console
from rich.progress import Progress

from toolkit.cli import console
from toolkit.cli.console import TrainingProgress
from toolkit.errors import InputError
from toolkit.progress import EpochSummary


def ended(error, capsys):
    """Exit code and message of a command that raises this."""

    def run():
        raise error

    return console.guarded(run), capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.png: bad"), "error: a.png: bad\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/x"),
            "error: out/x: no space left on the disk; make room, then run again\n",
        ),
        (OSError("odd"), "error: odd\n"),
        (InputError("\x1b[31m\u202e\ud800.png"), "error: \\x1b[31m\\u202e\\ud800.png\n"),
        (
            UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates"),
            "error: the name 'a\\udcff' is not UTF-8; rename it\n",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch.nn"),
            "error: this needs the package torch, which is not installed: "
            "pip install 'imbalanced-images[train]'\n",
        ),
        (MemoryError(), "error: not enough memory; run again with --workers 1 or with less"),
    ],
)
def test_an_error_is_one_message_and_exit_code_1(error, message, capsys):
    code, told = ended(error, capsys)
    assert code == 1
    assert told.startswith(message)


def test_what_is_handed_over_is_escaped_in_a_terminal_only(capsys, monkeypatch):
    """A file's name may steer the terminal, and other programs must find that file."""
    console.hand_over("\x1b[2J.png,a\r\n")
    assert capsys.readouterr().out == "\x1b[2J.png,a\r\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    console.hand_over("\x1b[2J.png,a\n")
    assert capsys.readouterr().out == "\\x1b[2J.png,a\n"


def test_a_missing_module_that_is_no_extra_is_a_fault_of_ours():
    with pytest.raises(ModuleNotFoundError):
        console.guarded(lambda: (_ for _ in ()).throw(ModuleNotFoundError("x", name="toolkit.x")))


def test_a_table_keeps_its_rows_whatever_the_names():
    assert console.table([("a\nb", "\x1b[2J"), ("cats é 猫", 1)]).splitlines() == [
        "a\\nb      \\x1b[2J",
        "cats é 猫  1",
    ]


def epochs(seed):
    return [EpochSummary(seed, epoch, 5, 400, 20.0, 0.5, 0.25, 0.75) for epoch in range(1, 6)]


def test_a_log_has_a_line_every_half_minute():
    times, lines = iter(range(20, 1000, 20)), []
    progress = TrainingProgress(lines.append, now=lambda: next(times))
    for epoch in progress.track(epochs(3), "train"):
        progress.on_epoch(epoch)
    assert lines == [
        f"seed 3: epoch {n}/5, {left} left: loss 0.500, valid 0.250, G-mean 0.750, 20 images/s"
        for n, left in ((2, "0:01:00"), (4, "0:00:20"))
    ]


def test_runs_beside_each_other_have_a_line_each():
    """As they are shown in a terminal, and now and then in a log."""
    stream = io.StringIO()
    bars = Progress("{task.description}", console=Console(file=stream, width=90))
    shown = TrainingProgress(print, bars)
    times, lines = iter(range(20, 1000, 20)), []
    logged = TrainingProgress(lines.append, now=lambda: next(times) / 2)
    for both in shown.track(zip(epochs(0), epochs(1), strict=True), "train r"):
        for epoch in both:
            shown.on_epoch(epoch)
            logged.on_epoch(epoch)
        if both[0].epoch == 3:
            bars.refresh()
            starts = [task.description[:17] for task in bars.tasks]
    assert starts == ["train r", "seed 0: epoch 3/5", "seed 1: epoch 3/5"]
    assert [line[:17] for line in lines] == [
        f"seed {seed}: epoch {epoch}/5" for epoch in (2, 4) for seed in (0, 1)
    ]
