"""The command line: COMMANDS, and what happens to an error."""

import gc
import os
import sys
from typing import Annotated

import typer

from toolkit.cli import advice, comparison, console, data, process, training, use

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Augment, train and compare on imbalanced image folders, and say whether it helped.",
)

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

for command in COMMANDS:
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        from toolkit import __version__

        console.answer(f"toolkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line.

    Exit codes: 1 and one message for bad input, 2 for wrong usage, 130, 143 or 129 after a signal.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for them takes 10 ms
    process.use_utf8()
    process.open_streams()
    process.warn_of_namesake()
    try:
        sys.exit(process.stoppable(lambda: console.guarded(app)))
    finally:
        gc.freeze()  # or Python searches all modules for garbage at its end, which takes 25 ms


if __name__ == "__main__":
    main()
