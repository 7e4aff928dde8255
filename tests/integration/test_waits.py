"""Tests that wait for another process do not wait for ever."""

import ast
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until

TESTS = Path(__file__).parents[1]
WAITING = {"communicate", "wait", "join", "get", "result"}
"""Methods that wait when they are called without arguments."""


def waits_for_ever(call: ast.Call) -> bool:
    named = {keyword.arg for keyword in call.keywords}
    match call.func:
        case ast.Attribute(value=ast.Name(id="subprocess"), attr="run" | "check_output"):
            return "timeout" not in named
        case ast.Attribute(attr=name) if name in WAITING:
            return not call.args and not call.keywords
    return False


def test_whatever_waits_has_a_timeout():
    found = [
        f"{path.relative_to(TESTS)}:{node.lineno}: {ast.unparse(node)[:60]}: give it timeout="
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and waits_for_ever(node)
    ]
    assert not found, "\n".join(found)


def test_waiting_ends_with_the_process_and_after_a_deadline():
    class Ended:
        def poll(self):
            return 0

    assert not wait_until(lambda: False, Ended())
    assert wait_until(lambda: True)
    with pytest.raises(AssertionError, match="nothing happened within 0 seconds"):
        wait_until(lambda: False, seconds=0.01)
