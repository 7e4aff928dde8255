"""YAML files from untrusted sources: bounded reading, and the lines of keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode

from toolkit.errors import InputError, explain_error

MAX_CHARACTERS, MAX_VALUES, MAX_DEPTH = 1_000_000, 100_000, 50


def read_yaml(path: Path, remedy: str) -> Any:
    """Read a file with the parser that DVC uses. Raises InputError that names the file.

    `remedy` says in the message what to do if the file does not exist.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_bounds(text)
        return YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except OSError as error:
        raise InputError(f"{path}: {explain_error(error)}") from error
    except (YAMLError, ValueError, TypeError) as error:  # TypeError: a mapping as a key
        raise InputError(f"{path}: not valid YAML: {error}") from error


def locate_key(path: Path, where: Sequence[int | str]) -> str:
    """Return "<path>:<line>:<column>", counted from 1, of the value that these keys lead to."""
    node = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8-sig"))
    if node is None:
        return str(path)
    mark = node.start_mark
    for part in where:
        pair = _find_pair(node, part)
        if pair is None:  # merged in from elsewhere
            break
        key, node = pair
        mark = key.start_mark
    return f"{path}:{mark.line + 1}:{mark.column + 1}"


def _find_pair(node: Any, part: int | str) -> tuple[Any, Any] | None:
    """Return the nodes of a key and its value, or twice that of a list's item."""
    if isinstance(node, MappingNode):
        return next((pair for pair in node.value if pair[0].value == str(part)), None)
    return node.value[part], node.value[part]


def _check_bounds(text: str) -> None:
    """Raise ValueError for data that would be huge: aliases of aliases, endless nesting."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(text):,} characters are more than {MAX_CHARACTERS:,}")
    opened: list[tuple[str | None, int]] = [(None, 0)]  # anchor and values of each open collection
    sizes: dict[str | None, int] = {}
    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, events.CollectionStartEvent):
            opened.append((event.anchor, 0))
        else:
            _count(event, opened, sizes)
        if len(opened) > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        if opened[-1][1] > MAX_VALUES:
            raise ValueError(f"with its aliases more than {MAX_VALUES:,} values")


def _count(event: Any, opened: list[tuple[str | None, int]], sizes: dict[str | None, int]) -> None:
    """Add the values of a scalar, an alias or a closed collection to the open collection."""
    size = 0
    if isinstance(event, events.AliasEvent):
        if event.anchor not in sizes:
            raise ValueError(f"the alias {event.anchor!r} has no anchor before it")

        size = sizes[event.anchor]
    elif isinstance(event, events.ScalarEvent):
        size = sizes[event.anchor] = 1
    elif isinstance(event, events.CollectionEndEvent):
        anchor, inside = opened.pop()
        size = sizes[anchor] = inside + 1
    anchor, inside = opened[-1]
    opened[-1] = anchor, inside + size
