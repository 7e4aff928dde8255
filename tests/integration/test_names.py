"""A name means one thing in the whole package."""

import ast
from collections import defaultdict
from pathlib import Path

import toolkit
from toolkit.cli.main import COMMANDS

PACKAGE = Path(toolkit.__file__).parent
COMMAND_NAMES = {command.__name__ for command in COMMANDS} & set(toolkit.__all__)
"""A command has the name of the function that it calls."""


def public_definitions():
    """Name -> the modules that define a class or public function of this name."""
    places = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name[0] == "_":
                continue
            if room != "cli" or node.name not in COMMAND_NAMES:
                places[node.name].add(str(path.relative_to(PACKAGE)))
    return places


def test_no_class_and_no_public_function_has_the_name_of_another():
    assert {name: at for name, at in public_definitions().items() if len(at) > 1} == {}


def test_a_room_has_about_fifteen_modules_at_most():
    rooms = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}
    sizes = {str(r.relative_to(PACKAGE)): len(list(r.glob("[!_]*.py"))) for r in rooms}
    assert {room: n for room, n in sizes.items() if n > 16} == {}
