"""What the commands share: the project's settings, and common options."""

import contextlib
import functools
import gc
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError
from toolkit.pipeline.paths import PARAMS

if TYPE_CHECKING:
    from toolkit.pipeline import params

SPLIT_NAME = r"(.+?)=(train|valid|test)(?:,|$)"
MAX_MAPPING = 100_000  # characters

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Path to write to.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, as docs/schemas describes it.")]
PositiveClass = Annotated[
    str | None,
    typer.Option("--positive", help="The class that precision, recall and ROC refer to."),
]
Features = Annotated[
    Path | None, typer.Option(help="What `embed` wrote: a frozen network's features.")
]
Logits = Annotated[
    bool, typer.Option("--logits", help="Scores that are no probabilities are logits.")
]
Decisions = Annotated[
    Path | None, typer.Option(help="Table of what you decided about single images.")
]
Work = Annotated[Path, typer.Option(help="Folder for downloads and measurements.")]
Reading = Mapping[str, Any]
"""What a command gets of the options that `reads_images` adds."""
Workers = Annotated[int, typer.Option(min=0, help="Number of processes; 0 means one per core.")]

READING: dict[str, tuple[Any, str]] = {
    "layout": (str | None, "What the levels of folders are, as split/class; else seen from names."),
    "split_names": (list[str] | None, "What folders of splits are for, as Lernen=train."),
    "labels": (str | None, "A table of labels beside the images."),
    "image": (str | None, "Its column with the images' names."),
    "label": (str | None, "Its column with the classes; or a pattern of paths."),
    "group": (str | None, "What stays in one split: a column, a pattern of paths, a level."),
    "split": (str | None, "Its column with the splits."),
    "weight": (str | None, "Its column with how much each image counts in training; or none."),
    "only": (list[str] | None, "Use only the files of this pattern; may be repeated."),
    "leave_out": (list[str] | None, "Leave out the files of this pattern; may be repeated."),
    "classes": (str | None, "Which classes, as '{leave_out: [a], merge: {b: [c, d]}}'."),
    "follow_links": (str | None, "Read links that lead to files in this folder."),
}
"""How a folder of images is read, for every command that takes one: key -> type and help."""


def reads_images(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of READING to a command, which gets those that are set as `reading`."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        chosen = {key: values.pop(f"reading_{key}") for key in READING}
        command(**values, reading=parse_reading(chosen))

    own = [p for p in inspect.signature(command).parameters.values() if p.name != "reading"]
    added = [_parameter(key, kind, text) for key, (kind, text) in READING.items()]
    both = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
    run.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in both}
    return run


def _parameter(key: str, kind: Any, text: str) -> inspect.Parameter:
    option = typer.Option(f"--{key.replace('_', '-')}", help=text)
    return inspect.Parameter(
        f"reading_{key}",
        inspect.Parameter.KEYWORD_ONLY,
        default=False if kind is bool else None,
        annotation=Annotated[kind, option],
    )


def parse_reading(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of READING that are set as keys of a section of params.yaml."""
    chosen = {key: value for key, value in options.items() if value}
    if "split_names" in chosen:
        named = ",".join(chosen["split_names"])
        if not re.fullmatch(rf"({SPLIT_NAME})+", named):
            raise InputError(f"--split-names must be like Lernen=train,Pruefen=test, got {named!r}")
        chosen["split_names"] = dict(re.findall(SPLIT_NAME, named))
    if "classes" in chosen:
        chosen["classes"] = parse_mapping(chosen["classes"], "--classes", "{leave_out: [other]}")
    return chosen


def reading_words(reading: Reading) -> list[str]:
    """Return the options that `parse_reading` reads so, as words of a command line."""
    words = list[str]()
    for key, value in reading.items():
        option = f"--{key.replace('_', '-')}"
        if key == "split_names":
            texts = [f"{name}={split}" for name, split in value.items()]
        elif isinstance(value, Mapping):
            texts = [json.dumps(value, ensure_ascii=False)]
        else:
            texts = value if isinstance(value, list) else [str(value)]
        words += [word for text in texts for word in (option, text)]
    return words


def parse_mapping(text: str, option: str, example: str) -> dict[str, Any]:
    """Read a mapping as params.yaml has it. Raises InputError that names the option."""
    from ruamel.yaml import YAML  # slow to import
    from ruamel.yaml.error import YAMLError

    try:
        mapping = YAML(typ="safe", pure=True).load(text[:MAX_MAPPING])
        return {str(name): value for name, value in mapping.items()}
    except (YAMLError, ValueError, AttributeError):
        raise InputError(f"{option} must be like {option} '{example}', got {text[:80]!r}") from None


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import without looking for garbage, as modules stay, nor starting threads for numpy's BLAS.

    Both take 40 ms of CPU. For commands that compute nothing by BLAS, or products so small that
    threads only wait for one another: `compare` takes a sixth less time without.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def read_project() -> "params.Params":
    """Read the project's params.yaml. Raises InputError if it is missing or of another version."""
    from toolkit.pipeline.params import read_settings

    return read_settings(PARAMS)


def read_section(name: str, default: Callable[[], Any]) -> Any:
    """Return the section of params.yaml named `name`, or the default outside a project."""
    return getattr(read_project(), name) if PARAMS.is_file() else default()
