"""Every path option of every command: what cannot be written or read is one message, at once."""

import inspect
import itertools
import os
from importlib import resources
from pathlib import Path

import pytest
from typer.main import get_command

from tests.conftest import fill
from toolkit.cli import console
from toolkit.cli.main import COMMANDS, app

QUICK = "--size 32 --folds 2 --repeats 1"
TOOLKIT = get_command(app)  # built once: that takes longer than most of these commands
FOLDERS = {
    "provenance": "provenance --output {}",
    "fetch": "fetch --output {}",
    "audit pictures": "audit photos --pictures {}",
    "prepare": "prepare photos --audit nowhere.json --output {}",
    "augment": "augment photos --output {}",
    "augment arm": "augment photos --arm original --output {}",
    "embed": "embed nowhere --output {}",
    "train": "train --arm nowhere --valid nowhere --output {}",
    "evaluate": "evaluate nowhere --output {}",
    "export": "export nowhere --output {}",
    "push": "push nowhere --output {}",
    "predict sorted": "predict nowhere nowhere.png --sort-into {}",
}
INSIDE = {
    "train seeds": "train --arm nowhere --valid nowhere --seeds 0,1 --output {}",
    "sweep": "sweep --target 60 --output {}",
}
"""Outputs are files or folders below this."""
FILES = {
    "audit": "audit photos --output {}",
    "advise": "advise nowhere --html {}",
    "audit page": "audit photos --html {}",
    "audit export": "audit photos --export fiftyone --output {}",
    "augment explain": "augment --explain nowhere.png --output {}",
    "probe": "probe nowhere --output {}",
    "predict": "predict nowhere nowhere.png --output {}",
    "predict page": "predict nowhere nowhere.png --html {}",
    "gradients": "gradients nowhere --output {}",
    "compare": "compare nowhere.csv --output {}",
    "report": "report --output {}",
}
INPUTS = {
    "init": "init --images {}",
    "init folder": "init {}/below --preset quick",
    "audit": "audit {}",
    "audit work": "audit photos --work {}/below",
    "audit decisions": "audit photos --decisions {}",
    "audit predictions": "audit photos --export fiftyone --output x.json --predictions {}",
    "advise decisions": f"advise photos {QUICK} --decisions {{}}",
    "advise": f"advise {{}} {QUICK}",
    "advise work": f"advise photos {QUICK} --work {{}}/below",
    "fetch work": "fetch --output out --work {}",
    "prepare": "prepare {} --audit a.json --output out",
    "prepare audit": "prepare photos --audit {} --output out",
    "augment": "augment {} --output out",
    "augment policy": "augment photos --policy {} --output out",
    "augment explain": "augment --explain {}",
    "augment preview": "augment {} --preview",
    "probe": "probe {}",
    "embed": "embed {}",
    "train arm": "train --arm {} --valid photos --output out",
    "train valid": "train --arm photos --valid {} --output out",
    "train features": "train --arm photos --valid photos --features {} --output out",
    "evaluate": "evaluate {} --output out",
    "evaluate features": "evaluate photos --test photos --features {} --output out",
    "evaluate valid": "evaluate good.csv --valid-predictions {} --output out",
    "evaluate run": "evaluate photos --test {} --output out",
    "predict": "predict {} photos",
    "export": "export {}",
    "export images": "export nowhere --images {}",
    "push": "push {} --output out",
    "push evaluation": "push photos --output out --evaluation {}",
    "push audit": "push photos --output out --audit {}",
    "push exported": "push photos --output out --exported {}",
    "serve": "serve {}",
    "serve images": "serve nowhere --images {}",
    "gradients": "gradients {}",
    "compare": "compare {}",
}
IMAGES = {
    "init": "init p --images {}",
    "audit": "audit {}",
    "advise": "advise {}",
    "prepare": "prepare {} --audit a.json --output out",
    "augment": "augment {} --output out",
    "augment arm": "augment {} --arm original --output out",
    "augment preview": "augment {} --preview",
    "probe": "probe {}",
    "embed": "embed {}",
    "train arm": "train --arm {} --valid photos --output out",
    "train valid": "train --arm photos --valid {} --output out",
    "evaluate": "evaluate photos --test {} --output out",
    "predict": "predict photos {}",
}
"""Where IMAGES may be a folder, an archive, an address, or a data set of a hub."""
TABLES = [INPUTS[n] for n in ("evaluate", "evaluate valid", "compare", "audit predictions")]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with photos, predictions, and what is neither a file nor a folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "photos", {"a": 6, "b": 3})
    (tmp_path / "good.csv").write_text("actual,predicted\na,a\nb,b\n")
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    return tmp_path


def run(line: str, path: str, capsys) -> tuple[int, str]:
    """Exit code and stderr of a command whose path option is this; an empty one is a word too."""
    words = [word.format(path) for word in line.split()]
    try:
        code = console.guarded(lambda: TOOLKIT(words))
    except SystemExit as error:
        code = int(error.code or 0)
    return code, capsys.readouterr().err


def names(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if ".toolkit" not in path.parts)


PATHS = [
    (command.__name__, f"--{name}".replace("_", "-") if "OptionInfo" in kind else name)
    for command in COMMANDS
    for name, parameter in inspect.signature(command).parameters.items()
    if "pathlib.Path" in (kind := str(parameter.annotation)) or name in ("policy", "reports")
]
"""Each command with its options and arguments that are paths; an argument has no dashes."""


@pytest.mark.parametrize(("command", "option"), PATHS)
def test_every_path_is_tried_here(command, option):
    tables = (FOLDERS, INSIDE, FILES, INPUTS, IMAGES)
    lines = [line.split() for table in tables for line in table.values()]
    pairs = [pair for line in lines if line[0] == command for pair in itertools.pairwise(line)]
    before = [word for word, path in pairs if path.startswith("{}")]
    assert option in before if option.startswith("--") else any(w[0] != "-" for w in before)


def test_paths_are_found():
    assert {"--html", "--output", "images", "--policy"} <= {option for _, option in PATHS}
    assert len(PATHS) > 30


BAD = (
    (FOLDERS, ("photos", "", ".", "..", "/", "photos/..", "file", "file/x", "pipe", "circle")),
    (INSIDE, ("file", "file/x", "pipe")),
    (FILES, ("", ".", "..", "/", "photos", "file/x", "pipe")),
)
"""Where outputs cannot be made."""


@pytest.mark.parametrize(
    ("command", "path"),
    [(line, path) for lines, paths in BAD for line in lines.values() for path in paths],
)
def test_an_output_that_cannot_be_made_is_one_message_before_the_work(
    project, command, path, capsys
):
    if command.startswith(("provenance", "fetch", "prepare", "report", "sweep")):
        presets = resources.files("toolkit.pipeline") / "presets"
        (project / "params.yaml").write_bytes((presets / "quick.yaml").read_bytes())
    before = names(project)
    code, said = run(command, path, capsys)
    assert code == 1, said
    option = next(word for word in reversed(command.split()) if word.startswith("--"))
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert option in said
    assert "nowhere" not in said
    assert names(project) == before


def test_tables_are_not_compared_into_one_of_them(project, capsys):
    """As by `--output *.csv`, of which the shell makes the first table the output."""
    code, said = run("compare good.csv --output {}", "good.csv", capsys)
    assert code == 1
    assert "--output has the ending of what is read, .csv, and would replace it" in said


@pytest.mark.parametrize("path", ["", "/dev/null", "file", "pipe", "circle", "x" * 300])
@pytest.mark.parametrize("command", INPUTS.values(), ids=INPUTS)
def test_an_input_that_is_none_is_one_message(project, command, path, capsys):
    if path == "pipe" and command in TABLES:
        return  # predictions may come from another program
    code, said = run(command, path, capsys)
    if code:
        assert code in (1, 2), said
        assert "Traceback" not in said
        assert said.startswith("Usage: ") or said.splitlines()[-1].startswith("error: "), said
    assert not list(project.rglob(".*.building")), said
    assert not list(project.rglob(".*.lock")), said


def test_every_command_that_reads_images_is_tried_here():
    reading = {
        command.__name__
        for command in COMMANDS
        if "reading_layout" in inspect.signature(command).parameters
    }
    assert reading <= {line.split()[0] for line in IMAGES.values()}


@pytest.mark.parametrize("command", IMAGES.values(), ids=IMAGES)
def test_images_may_come_from_elsewhere(project, command, capsys):
    if command.startswith("prepare"):
        presets = resources.files("toolkit.pipeline") / "presets"
        (project / "params.yaml").write_bytes((presets / "quick.yaml").read_bytes())
    before = names(project)
    code, said = run(command, "ftp://host.invalid/photos.zip", capsys)
    assert code == 1, said
    assert said == (
        "error: ftp://host.invalid/photos.zip: must be a folder, a zip or tar, an http or https "
        "address of one, hf://datasets/<name> or kaggle://<owner>/<name>\n"
    )
    assert names(project) == before
