"""YAML files that a stranger may have written: read within bounds, and where in them a key is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode

from toolkit.errors import InputError

MOST_LETTERS, MOST_VALUES, MOST_LEVELS = 1_000_000, 100_000, 50


def read_yaml(path: Path, remedy: str) -> Any:
    """The file's data, by the same parser as DVC's. Raises InputError that names the file.

    `remedy` says what to do where there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_bounds(text)
        return YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except (YAMLError, ValueError, OSError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error


def locate_key(path: Path, where: Sequence[int | str]) -> str:
    """`path` with the line and column, from 1, of the value that these keys lead to."""
    node = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8-sig"))
    if node is None:
        return str(path)
    mark = node.start_mark
    for part in where:
        named = _inside(node, part)
        if named is None:  # merged in from elsewhere
            break
        key, node = named
        mark = key.start_mark
    return f"{path}:{mark.line + 1}:{mark.column + 1}"


def _inside(node: Any, part: int | str) -> tuple[Any, Any] | None:
    """The nodes of a key, or of an item of a list, and of its value."""
    if isinstance(node, MappingNode):
        return next((pair for pair in node.value if pair[0].value == str(part)), None)
    return node.value[part], node.value[part]


def _check_bounds(text: str) -> None:
    """Raise ValueError for what would be huge in memory: aliases of aliases, endless nesting."""
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{len(text):,} letters are more than {MOST_LETTERS:,}")
    opened: list[tuple[str | None, int]] = [(None, 0)]  # anchor, and values so far
    sizes: dict[str | None, int] = {}
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, events.CollectionStartEvent):
            opened.append((event.anchor, 0))
        else:
            _count(event, opened, sizes)
        if len(opened) > MOST_LEVELS:
            raise ValueError(f"nested more than {MOST_LEVELS} levels deep")
        if opened[-1][1] > MOST_VALUES:
            raise ValueError(f"with its aliases more than {MOST_VALUES:,} values")


def _count(event: Any, opened: list[tuple[str | None, int]], sizes: dict[str | None, int]) -> None:
    """Add a value, an alias, or what is closed to what it lies in."""
    size = 0
    if isinstance(event, events.AliasEvent):
        if event.anchor not in sizes:
            raise ValueError(f"the alias {event.anchor!r} stands for nothing before it")
        size = sizes[event.anchor]
    elif isinstance(event, events.ScalarEvent):
        size = sizes[event.anchor] = 1
    elif isinstance(event, events.CollectionEndEvent):
        anchor, inside = opened.pop()
        size = sizes[anchor] = inside + 1
    anchor, inside = opened[-1]
    opened[-1] = anchor, inside + size
