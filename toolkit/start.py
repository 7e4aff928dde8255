"""Where the command starts. `augment` begins without Typer, which takes longer than 300 images."""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VALUES: dict[str, tuple[str, type]] = {
    "--output": ("output", Path),
    "-o": ("output", Path),
    "--target": ("target", str),
    "--class": ("classes", list),
    "--policy": ("policy", str),
    "--seed": ("seed", int),
    "--format": ("file_format", str),
    "--size": ("size", int),
    "--arm": ("arm", str),
    "--workers": ("workers", int),
    "--shards": ("shards", int),
    "--explain": ("explain", Path),
}
FLAGS = {
    "--only-new": "only_new", "--force": "force", "--preview": "preview", "--quiet": "quiet",
    "-q": "quiet",
}  # fmt: skip
LEAST = {"seed": 0, "size": 1, "workers": 0, "shards": 0}


def main() -> None:
    """Run the command line."""
    given = parse(sys.argv[1:])
    if given is None:
        from toolkit import cli

        cli.main()
        return
    gc.disable()  # what is imported stays: looking through it again and again takes a fifth longer
    from toolkit import augmenting, console

    gc.freeze()
    gc.enable()
    call = augmenting.Call(**given)
    sys.exit(console.guarded(lambda: augmenting.run(call)))


def parse(words: Sequence[str]) -> dict[str, Any] | None:
    """The options of a plainly right `augment`; None for all else, which Typer reads or refuses."""
    if not words or words[0] != "augment":
        return None
    given: dict[str, Any] = {}
    rest = list(reversed(words[1:]))
    try:
        while rest:
            _take(rest, given)
    except (ValueError, IndexError):
        return None
    lacking = "train" in given and not given.keys() & {"output", "preview"}
    return None if lacking else given


def _take(rest: list[str], given: dict[str, Any]) -> None:
    """Move one option or argument from the end of `rest`. Raises ValueError or IndexError."""
    word = rest.pop()
    if word in FLAGS:
        given[FLAGS[word]] = True
        return
    if not word.startswith("-"):
        if "train" in given:
            raise ValueError(word)
        given["train"] = Path(word)
        return
    name, separator, text = word.partition("=")
    if name not in VALUES or (separator and not name.startswith("--")):
        raise ValueError(word)
    key, kind = VALUES[name]
    value = text if separator else rest.pop()
    if kind is list:
        given.setdefault(key, []).append(value)
        return
    if not separator and value.startswith("-"):
        raise ValueError(value)
    given[key] = kind(value)
    if key in LEAST and given[key] < LEAST[key]:
        raise ValueError(value)
