"""`import toolkit` does what the commands do, under the same names, options and defaults."""

import inspect
import subprocess
import sys

import pytest
import typer
from pydantic import BaseModel

import toolkit
from tests.helpers.waiting import TIMEOUT
from toolkit.augmentation.params import AugmentParams
from toolkit.cli.main import COMMANDS, app
from toolkit.cli.options import READING
from toolkit.datasets.params import PrepareParams
from toolkit.metrics.params import CompareParams, EvaluateParams
from toolkit.training.params import RECIPES, TrainParams

COMMAND = {command.__name__: command for command in COMMANDS}
VERBS = [name for name in toolkit.__all__ if name in COMMAND]
SPELT = {  # an option that may be repeated is in the singular
    "classes": "class",
    "run_seed": "seed",  # beside that of the intervals
}
SECTIONS: dict[str, type[BaseModel]] = {  # settings of params.yaml, not options
    "prepare": PrepareParams,
    "augment": AugmentParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "compare": CompareParams,
    "report": CompareParams,
}
REQUIRED: dict[type[BaseModel], dict] = {
    CompareParams: {"arms": ["a"], "recipes": ["r"], "seeds": [0]},
    TrainParams: {"recipes": RECIPES},
}
WHOLE_SECTIONS = {
    "fetch": {"source"},
    "audit": {"checks", "prepare"},
    "prepare": {"limits"},
    "compare": {"published"},  # of the section augment
    "report": {"runs", "published"},
    "push": {"fetch"},
}
CALLBACKS = {"track", "say", "on_epoch"}  # how a program is told what a person sees
ONLY_COMMANDS = {
    "quiet",
    "arm",  # of a project
    "declared",
    "explain",
    "preview",
    "rev",  # of a project's history
    "markdown",  # how it is printed
    "json",
    "seeds",  # several calls
    "profile",
}


def parameters(name):
    return {
        key: p
        for key, p in inspect.signature(getattr(toolkit, name)).parameters.items()
        if key not in CALLBACKS
    }


def options(name):
    """Spelling -> default of the command's options and arguments."""
    command = typer.main.get_group(app).commands[name]
    return {
        max(p.opts, key=len).removeprefix("--").replace("-", "_"): (p.default, p.required)
        for p in command.params
        if p.name != "help"
    }


def test_every_command_that_a_program_wants_is_a_function():
    assert set(COMMAND) - set(VERBS) == {"policies", "networks", "gradients", "provenance", "clean"}


@pytest.mark.parametrize("name", VERBS)
def test_a_function_has_the_options_of_its_command(name):
    of_command, of_function = options(name), parameters(name)
    spelt = {SPELT.get(key, key) for key in of_function}
    if "reading" in spelt:  # the keys of one mapping
        spelt = spelt - {"reading"} | set(READING)
    assert set(of_command) - spelt <= ONLY_COMMANDS
    section = SECTIONS.get(name)
    in_params = WHOLE_SECTIONS.get(name, set()) | set(section.model_fields if section else ())
    assert spelt - set(of_command) <= in_params


@pytest.mark.parametrize("name", VERBS)
def test_defaults_are_the_same_or_those_of_params_yaml(name):
    of_command, section = options(name), SECTIONS.get(name)
    for key, parameter in parameters(name).items():
        default, required = of_command.get(SPELT.get(key, key), (None, False))
        if default is not None and not required:
            assert default == parameter.default, key
        if section and key in section.model_fields and parameter.default not in (None, "gmean"):
            ours = section.model_validate(REQUIRED.get(section, {}) | {key: parameter.default})
            assert getattr(ours, key) == section.model_fields[key].default, key


@pytest.mark.parametrize("name", VERBS)
def test_a_function_says_what_it_takes(name):
    text = inspect.getdoc(getattr(toolkit, name))
    unsaid = [key for key in parameters(name) if f"`{key}`" not in text]
    assert unsaid == []


def test_a_star_brings_the_face_alone():
    space: dict[str, object] = {}
    exec("from toolkit import *", space)
    assert set(space) - {"__builtins__"} == set(toolkit.__all__)
    assert {"Manifest", "Policy", "Run", "Predictions", "Comparison"} <= set(toolkit.__all__)


def test_importing_the_face_loads_nothing_heavy():
    code = (
        "import sys, toolkit; print(sorted({'numpy', 'torch', 'pydantic', 'PIL'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=TIMEOUT
    )
    assert done.stdout.strip() == "[]"


def test_every_room_gives_what_its_face_names():
    rooms = ("augmentation", "checks", "datasets", "evaluation", "io", "metrics", "pipeline",
             "reporting", "training")  # fmt: skip
    for room in rooms:
        module = __import__(f"toolkit.{room}", fromlist=["x"])
        assert module.__all__
        for name in module.__all__:
            assert getattr(module, name).__class__ is not type(module), (room, name)
