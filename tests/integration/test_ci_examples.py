"""The jobs that comment a pull request parse, and call the commands and options that there are."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from toolkit.cli.main import app

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "ci").glob("*.yml"))


def scripts(path: Path) -> list[str]:
    """Return what the shell gets."""
    (job,) = [value for key, value in jobs(YAML(typ="safe").load(path)).items() if key == "compare"]
    return job.get("script") or [step["run"] for step in job["steps"] if "run" in step]


def jobs(content):
    return content.get("jobs", content)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_their_scripts_are_shell_and_know_the_options(path):
    commands = typer.main.get_group(app).commands
    found = []
    for script in scripts(path):
        subprocess.run(["bash", "-n"], input=script.encode(), check=True, timeout=30)
        for line in re.findall(r"^toolkit .*", script.replace("\\\n", ""), re.MULTILINE):
            _, name, *words = shlex.split(line.partition(">")[0])
            known = {word for option in commands[name].params for word in option.opts}
            assert {word for word in words if word.startswith("-")} <= known
            found.append(name)
    assert found == ["compare"]


def test_both_are_there():
    assert [path.stem for path in EXAMPLES] == ["github", "gitlab"]
