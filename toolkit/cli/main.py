"""The command line: COMMANDS, and what happens to an error."""

import gc
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer

from toolkit.cli import advice, comparison, console, data, process, training, use

COMMANDS = (
    advice.advise,
    data.init,
    data.provenance,
    data.fetch,
    data.audit,
    data.prepare,
    data.augment,
    data.policies,
    comparison.probe,
    training.embed,
    training.train,
    training.evaluate,
    training.predict,
    use.export,
    use.push,
    use.serve,
    training.networks,
    training.gradients,
    training.clean,
    comparison.compare,
    comparison.report,
    comparison.leaderboard,
    comparison.sweep,
)
"""In the order of the help: that of the stages, and then what runs them again."""


def _version(wanted: bool) -> None:
    if wanted:
        from toolkit import __version__

        console.answer(f"toolkit {__version__}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def make_app(commands: Iterable[Callable[..., None]]) -> typer.Typer:
    """Return the command line with these commands."""
    made = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Augment, train and compare on imbalanced image folders, and say whether it helped.",
    )
    made.callback()(_options)
    for command in commands:
        made.command()(command)
    return made


app = make_app(COMMANDS)


def fill_names(arguments: Sequence[str]) -> list[str]:
    """Return a command with the names before it in the place of {arm} and {recipe}.

    That is how dvc.yaml gives them, in a way that the shells of all systems take:
    --arm a probe "data/arms/{arm}" becomes probe data/arms/a.
    """
    names, rest = dict[str, str](), list(arguments)
    while len(rest) > 1 and rest[0] in ("--arm", "--recipe"):
        option, name, *rest = rest
        names["{" + option.removeprefix("--") + "}"] = name
    if not names:
        return rest
    return [re.sub(r"\{\w+\}", lambda m: names.get(m[0], m[0]), argument) for argument in rest]


def main() -> None:
    """Run the command line.

    Exit codes: 1 and one message for bad input, 2 for wrong usage, 130, 143 or 129 after a signal.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for them takes 10 ms
    process.use_utf8()
    process.open_streams()
    process.warn_of_namesake()
    try:
        arguments = fill_names(sys.argv[1:])
        named = [command for command in COMMANDS if command.__name__ in arguments[:1]]
        chosen = make_app(named) if named else app  # Typer takes 12 ms to build all commands
        sys.exit(process.stoppable(lambda: console.guarded(lambda: chosen(arguments))))
    finally:
        gc.freeze()  # or Python searches all modules for garbage at its end, which takes 25 ms


if __name__ == "__main__":
    main()
