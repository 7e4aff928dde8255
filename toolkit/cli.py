"""The command line: COMMANDS, and what happens to an error."""

import sys

import typer

from toolkit import cli_comparison, cli_data, cli_training, console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Augment, train and compare on imbalanced image folders, and say whether it helped.",
)

COMMANDS = (
    cli_data.init,
    cli_data.fetch,
    cli_data.audit,
    cli_data.prepare,
    cli_data.augment,
    cli_data.policies,
    cli_comparison.probe,
    cli_training.train,
    cli_training.evaluate,
    cli_training.predict,
    cli_training.networks,
    cli_training.gradients,
    cli_comparison.compare,
    cli_comparison.report,
    cli_comparison.sweep,
)
"""In the order of the help: that of the stages, and then what runs them again."""

for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line: exit code 1 and one message for bad input, 2 for wrong usage."""
    sys.exit(console.guarded(app))


if __name__ == "__main__":
    main()
