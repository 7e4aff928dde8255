"""The quick start of `augment` reads what Typer reads, and leaves everything else to it."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from toolkit import augmenting, cli, start

HEAVY = {
    "albumentations", "click", "cv2", "dvc", "imblearn", "matplotlib", "numpy", "pydantic",
    "rich", "ruamel.yaml", "scipy", "sklearn", "torch", "torchvision", "typer",
}  # fmt: skip


def options():
    """Option -> the parameter of the command, as Typer has it."""
    command = typer.main.get_command(cli.app).commands["augment"]
    return {option: p.name for p in command.params for option in p.opts if option[0] == "-"}


def test_it_knows_every_option_of_the_command():
    ours = {option: name for option, (name, _) in start.VALUES.items()} | start.FLAGS
    assert ours == {option: name for option, name in options().items() if name != "help"}


@pytest.mark.parametrize(
    "line",
    [
        "photos -o out",
        "photos --output out --target 360 --class a --class b --seed 3",
        "-o out --format=jpeg photos --only-new --size 32 -q --workers=2",
        "--arm original",
        "photos -o out --policy p.yaml --target 0.5",
        "photos --preview",
        "--preview -o sheet.png --policy p.yaml",
        "--explain out/a/x.png -o y.png",
        "",
    ],
)
def test_it_reads_what_typer_reads(monkeypatch, line):
    calls = []
    monkeypatch.setattr(augmenting, "run", calls.append)
    words = ["augment", *line.split()]
    assert CliRunner().invoke(cli.app, words).exit_code == 0
    assert augmenting.Call(**start.parse(words)) == calls[0]


@pytest.mark.parametrize(
    "line",
    ["--help", "a b -o c", "a", "a -o", "a -o c --seed x", "a -o c --seed -1", "a -o c --tarqet 3",
     "a -o c --size 0", "a -o c -- d", "a -oc", "a -o c --quiet=1"],
)  # fmt: skip
def test_what_is_not_plainly_right_is_left_to_typer(line):
    assert start.parse(["augment", *line.split()]) is None


def test_other_commands_are_left_to_typer():
    assert start.parse(["audit", "photos"]) is None
    assert start.parse([]) is None


def test_augment_imports_nothing_that_it_does_not_need(tmp_path, photos):
    code = (
        "import sys; from toolkit import start; sys.argv = ['toolkit', *sys.argv[1:]]\n"
        "try: start.main()\n"
        "except SystemExit as end: assert not end.code\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    arguments = ["augment", str(photos), "--output", str(tmp_path / "out"), "--target", "15"]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
