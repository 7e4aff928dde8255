"""The command line: COMMANDS, and what happens to an error."""

import sys

import typer

from toolkit.cli import comparison, console, data, training

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Augment, train and compare on imbalanced image folders, and say whether it helped.",
)

COMMANDS = (
    data.init,
    data.fetch,
    data.audit,
    data.prepare,
    data.augment,
    data.policies,
    comparison.probe,
    training.train,
    training.evaluate,
    training.predict,
    training.networks,
    training.gradients,
    comparison.compare,
    comparison.report,
    comparison.sweep,
)
"""In the order of the help: that of the stages, and then what runs them again."""

for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line: exit code 1 and one message for bad input, 2 for wrong usage."""
    sys.exit(console.guarded(app))


if __name__ == "__main__":
    main()
