"""Commands that set runs side by side and show what came out."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet, Workers
from toolkit.pipeline import paths

if TYPE_CHECKING:  # heavy modules are imported by the command that needs them
    from toolkit.evaluation.results import RunResult


def compare(
    reports: Annotated[
        list[str] | None,
        typer.Argument(help="Folders that `evaluate` wrote, or CSV files; with --rev, revisions."),
    ] = None,
    rev: Annotated[
        list[str] | None,
        typer.Option(help="Git revision or DVC experiment, or `workspace`; may be repeated."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Arm or revision that the others are compared with.")
    ] = None,
    markdown: Annotated[bool, typer.Option(help="Print the table as GitHub Markdown.")] = False,
    as_json: options.Json = False,
    positive: options.PositiveClass = None,
    actual: Annotated[
        list[str] | None,
        typer.Option(help="A table's column of actual classes; repeated if the tables differ."),
    ] = None,
    predicted: Annotated[
        list[str] | None, typer.Option(help="Likewise, of predicted classes.")
    ] = None,
    ident: Annotated[
        list[str] | None, typer.Option("--id", help="Likewise, of what tells the images apart.")
    ] = None,
    logits: options.Logits = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="JSON file to write, with figures beside it."),
    ] = None,
) -> None:
    """Compare arms with a baseline: differences, intervals and verdicts.

    A folder of evaluations stands for all of them, in a project for those that params.yaml
    compares. NAME=PATH names the arm; a repeated name adds a seed.

    Tables of other tools are understood by the usual names of their columns, which is said on
    stderr, or by those that are given.

    Example: toolkit compare original=a0.csv original=a1.csv mine=b0.csv mine=b1.csv

    Example: toolkit compare --rev main HEAD
    """
    with options.quick_imports():
        from toolkit.cli.summaries import comparison_summary
        from toolkit.evaluation import verdict
        from toolkit.evaluation.advice import remedy_sentences, taken_standing
        from toolkit.evaluation.leaderboard import leaderboard_table
        from toolkit.io import files
        from toolkit.pipeline.steps.compare import comparable_columns, read_results
        from toolkit.pipeline.steps.compare import compare as run
        from toolkit.pipeline.timing import arm_seconds

    if markdown and as_json:
        raise typer.BadParameter("give --markdown or --json, not both")
    files.check_output(output, file=True, unlike=[".csv"])
    if rev:
        results = _revisions([*rev, *(reports or [])])
    else:
        from toolkit.metrics.params import EvaluateParams

        positive = positive or options.read_section("evaluate", EvaluateParams).positive
        columns = comparable_columns(actual, predicted, ident, logits=logits, positive=positive)
        results = read_results(_evaluations(reports or [paths.RUNS]), columns, console.say)
    against = _against([result.arm for result in results])
    against |= {"baseline": baseline} if baseline else {}
    compared = run(results, output=output, say=console.say, **against)
    if markdown:
        console.hand_over(verdict.comparison_markdown(compared))
        return
    seconds = arm_seconds(result.key for result in results)
    if as_json:
        console.answer_json(comparison_summary(compared, seconds))
        return
    console.answer(console.table(verdict.comparison_table(compared)))
    console.answer("")
    taken = taken_standing(compared)
    console.answer(console.table(leaderboard_table(compared.leaderboard, seconds, taken)))
    console.answer("")
    for line in remedy_sentences(compared):
        console.answer(line)
    console.answer("")
    counts = verdict.counts_sentence(compared)
    sentences = map(verdict.verdict_sentence, compared.contrasts)
    for line in (*filter(None, [counts]), *sentences, *verdict.comparison_notes(compared)):
        console.answer(line)


def _against(arms: Sequence[str]) -> dict[str, Any]:
    """Return what params.yaml says about comparing these arms; nothing outside a project."""
    if not paths.PARAMS.is_file():
        return {}
    project = options.read_project()
    settings, declared = project.compare, project.compare.declared
    return {
        "baseline": settings.baseline if settings.baseline in arms else None,
        "control": settings.control if settings.control in arms else None,
        "resamples": settings.resamples,
        "seed": settings.seed,
        "margin": settings.margin,
        "looks": settings.looks if set(settings.arms) <= {*arms} else (),
        "primary": declared if declared and {*declared[1:]} <= {*arms} else None,
        "published": [arm for arm in project.published if arm in arms],
    }


def _evaluations(reports: Sequence[str | Path]) -> list[str | Path]:
    """Return the reports; in a project a folder stands for those that params.yaml compares."""
    if not paths.PARAMS.is_file():
        return list(reports)
    from toolkit.pipeline import revisions

    keys = revisions.run_keys(options.read_project().compare)
    declared = {key.place.parent.name for key in keys}
    several = [
        [place / key.place for key in keys]
        if (place := Path(text)).is_dir() and declared & {inside.name for inside in place.iterdir()}
        else [text]
        for text in reports
    ]
    return [one for of in several for one in of]


def _revisions(names: list[str]) -> "list[RunResult]":
    from toolkit.pipeline import revisions

    results, left = revisions.read_revisions(Path(), names, paths.RUNS)
    for name, pairs in left.items():
        console.say(f"left out, not in every revision: {'; '.join(pairs)} of {name}")
    return results


def leaderboard(
    until_sure: Annotated[
        bool, typer.Option("--until-sure", help="Add seeds until the primary contrast is settled.")
    ] = False,
    max_minutes: Annotated[
        float | None, typer.Option(help="The time for it; remedies and seeds that fit are run.")
    ] = None,
    as_json: options.Json = False,
    quiet: Quiet = False,
) -> None:
    """Run what the project declares, as `dvc repro` does, and rank its remedies.

    Example: toolkit leaderboard --max-minutes 10

    Example: toolkit leaderboard --until-sure --max-minutes 60

    With a limit of time the cheap remedies come first, and what does not fit is left out.
    Added seeds are written to params.yaml, with the looks that were planned before any result:
    false alarms of the primary contrast stay at 5%, however often it is looked at.
    """
    from toolkit.cli.summaries import comparison_summary
    from toolkit.evaluation import verdict
    from toolkit.evaluation.advice import remedy_sentences
    from toolkit.pipeline.steps.leaderboard import leaderboard as run

    result = run(
        until_sure=until_sure, max_minutes=max_minutes, say=partial(console.say, quiet=quiet)
    )
    if as_json:
        console.answer_json(comparison_summary(result.comparison, result.seconds))
        return
    console.answer(console.table(result.rows))
    console.answer("")
    for sentence in remedy_sentences(result.comparison):
        console.answer(sentence)
    console.answer("")
    for sentence in verdict.verdict_headline(result.comparison):
        console.answer(sentence)
    for line in verdict.comparison_notes(result.comparison):
        console.answer(line)


def sweep(
    target: Annotated[
        str | None, typer.Option(help="Images that a class ends with, such as 60,120,240.")
    ] = None,
    leave_one_out: Annotated[
        str | None, typer.Option(help="Arm to train without each of its transforms in turn.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Prefix of the DVC experiments' names.")] = "sweep",
    output: Output = Path("reports/sweep"),
    force: Annotated[bool, typer.Option(help="Repeat experiments that exist.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run a DVC experiment for each target, or without each transform; write a table and a figure.

    They start from the last commit and your changes since, and leave the workspace as it is.

    Example: toolkit sweep --target 60,120,240,360,500

    Example: toolkit sweep --leave-one-out augmented
    """
    from toolkit.evaluation import verdict
    from toolkit.pipeline.steps.sweep import sweep as run

    if (target is None) == (leave_one_out is None):
        raise typer.BadParameter("give --target NUMBERS or --leave-one-out ARM")
    swept = run(
        target=target,
        leave_one_out=leave_one_out,
        prefix=prefix,
        output=output,
        force=force,
        say=partial(console.say, quiet=quiet),
    )
    console.answer(console.table(swept.rows))
    for line in verdict.comparison_notes(*swept.comparisons):
        console.answer(line)
    console.say(f"{swept.table} and {swept.picture.name}: written", quiet=quiet)


def probe(
    arm: Annotated[Path, typer.Argument(help="Folder that `augment` wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file to write.")
    ] = None,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Measure how well a classifier can tell new images from originals.

    Example: toolkit probe data/arms/augmented --output reports/probe/augmented.json
    """
    with options.quick_imports():
        from toolkit.evaluation.probe import describe_probe, probe_table
        from toolkit.pipeline.steps.probe import probe as run

    shown: dict[str, Any] = {
        "track": console.track(quiet),
        "say": partial(console.say, quiet=quiet),
    }
    result = run(arm, output=output, workers=workers, **shown)
    for line in describe_probe(result):
        console.answer(line)
    if result.by_transform:
        console.answer(console.table(probe_table(result)))


def report(output: Output = Path("reports/index.html"), quiet: Quiet = False) -> None:
    """Write one HTML page that shows all results and needs no network, and say what it says first.

    Example: toolkit report --output reports/index.html
    """
    with options.quick_imports():
        from toolkit.pipeline.steps.report import report as run

    against = _against(options.read_project().compare.arms)
    result = run(output, runs=_evaluations([paths.RUNS]), **against)
    console.answer(console.table(result.rows) + "\n")
    for line in result.sentences:
        console.answer(line)
    console.say(f"report: {output}", quiet=quiet)
