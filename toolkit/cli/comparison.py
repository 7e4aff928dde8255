"""Commands that set runs side by side and show what came out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet, Workers
from toolkit.errors import InputError
from toolkit.io.text import without_logins
from toolkit.pipeline import project

if TYPE_CHECKING:  # heavy modules are imported by the command that needs them
    from toolkit.evaluation.comparison import Comparison
    from toolkit.pipeline.params import Params

STAGE, LOGS = "compare", Path(".toolkit/sweep")


def compare(
    reports: Annotated[
        list[str] | None,
        typer.Argument(help="Folders of `evaluate`, or predictions CSV files; with --rev, more."),
    ] = None,
    rev: Annotated[
        list[str] | None, typer.Option(help="A git revision or DVC experiment; or workspace.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The arm, or revision, that others are set against.")
    ] = None,
    markdown: Annotated[bool, typer.Option(help="Print the table as GitHub Markdown.")] = False,
    positive: options.PositiveClass = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="summary.json.")] = None,
) -> None:
    """Print arms against the baseline; with --output also write summary.json and pictures.

    A folder of folders stands for those in it, in a project for those that params.yaml compares.
    NAME=PATH names the arm; a name that is given several times has several seeds.

    Example: toolkit compare original=a0.csv original=a1.csv mine=b0.csv mine=b1.csv

    Example: toolkit compare --rev main HEAD
    """
    from toolkit.reporting import verdict

    if rev:
        results = _revisions([*rev, *(reports or [])])
    else:
        results = _results(reports or [project.RUNS], positive)
    compared = _compared(results, baseline)
    if markdown:
        typer.echo(verdict.comparison_markdown(compared), nl=False)
    else:
        typer.echo(console.table(verdict.comparison_table(compared)))
        for line in (
            *map(verdict.verdict_sentence, compared.contrasts),
            *verdict.comparison_notes(compared),
        ):
            typer.echo(line)
    if output:
        from toolkit.reporting.comparison import write_comparison

        write_comparison(output, compared, results)


def _compared(results: list[Any], baseline: str | None) -> "Comparison":
    """As params.yaml says, where its arms are among the results; else against the first arm."""
    from toolkit.evaluation.comparison import compare_results

    arms = [result.arm for result in results]
    if not project.PARAMS.is_file():
        return compare_results(results, baseline or arms[0])
    settings = options.read_project().compare
    usual = settings.baseline if settings.baseline in arms else arms[0]
    control = settings.control if settings.control in arms else None
    return compare_results(
        results, baseline or usual, control, resamples=settings.resamples, seed=settings.seed
    )


def _revisions(names: list[str]) -> list[Any]:
    from toolkit.pipeline import revisions

    results, left = revisions.read_revisions(Path(), names, project.RUNS)
    for name, pairs in left.items():
        console.say(f"left out, not in every revision: {'; '.join(pairs)} of {name}")
    return results


def _results(given: Sequence[str | Path], positive: str | None = None) -> list[Any]:
    from toolkit.evaluation.results import read_result
    from toolkit.metrics.params import EvaluateParams

    positive = positive or options.read_section("evaluate", EvaluateParams).positive
    found, seeds = [], Counter[str]()
    for text in map(str, given):
        name, separator, path = text.partition("=")
        if separator and not Path(text).exists():
            result = read_result(Path(path), positive)
            found.append(replace(result, arm=name, seed=seeds[name]))
            seeds[name] += 1
        else:
            found += [read_result(place, positive) for place in _reports(Path(text))]
    return found


def _reports(place: Path) -> list[Path]:
    """The evaluations that a path stands for."""
    if not place.is_dir() or (place / "metrics.json").is_file():
        return [place]
    if project.PARAMS.is_file():
        from toolkit.pipeline import revisions

        return [place / str(key) for key in revisions.run_keys(options.read_project().compare)]
    found = sorted(path.parent for path in place.glob("*/metrics.json"))
    if not found:
        raise InputError(f"{place}: holds no evaluation; write one with `toolkit evaluate`")
    return found


def sweep(
    target: Annotated[
        str | None, typer.Option(help="Images that a class ends with, such as 60,120,240.")
    ] = None,
    leave_one_out: Annotated[
        str | None, typer.Option(help="An arm, to be trained without each of its transforms.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Of the DVC experiments' names.")] = "sweep",
    output: Output = Path("reports/sweep"),
    force: Annotated[bool, typer.Option(help="Make experiments anew that are there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run a DVC experiment for each target, or without each transform; write CSV and a picture.

    They start from the commit, with what was changed since, and leave the workspace as it is.

    Example: toolkit sweep --target 60,120,240,360,500

    Example: toolkit sweep --leave-one-out augmented
    """
    from toolkit.io import files
    from toolkit.reporting import verdict

    if (target is None) == (leave_one_out is None):
        raise typer.BadParameter("give --target NUMBERS or --leave-one-out ARM")
    run = partial(_experiments, force=force, quiet=quiet)
    if target is not None:
        name = "target"
        compared, table, text, picture = _targets(options.read_project(), target, prefix, run)
    else:
        name = f"without-{leave_one_out}"
        compared, table, text, picture = _transforms(
            options.read_project(), str(leave_one_out), prefix, run
        )
    files.write_file(output / f"{name}.csv", text)
    files.write_file(output / f"{name}.png", picture)
    typer.echo(console.table(table))
    for line in verdict.comparison_notes(compared):
        typer.echo(line)
    console.say(f"{output / name}.csv and .png: written", quiet=quiet)


Swept = tuple["Comparison", list[list[str]], str, bytes]


def _targets(settings: "Params", text: str, prefix: str, run: Any) -> Swept:
    from toolkit.evaluation.sweep import compare_targets, point_table, points_csv, sweep_points
    from toolkit.pipeline.sweep import parse_targets, target_experiments
    from toolkit.reporting.plots.sweep import response

    found = run(target_experiments(settings, parse_targets(text), prefix))
    compared = compare_targets(found, settings.compare)
    points = sweep_points(compared)
    picture = response(points)
    return compared, point_table(points), points_csv(points), picture


def _transforms(settings: "Params", arm: str, prefix: str, run: Any) -> Swept:
    from toolkit.evaluation.sweep import (
        compare_transforms,
        effect_table,
        effects_csv,
        transform_effects,
    )
    from toolkit.pipeline.sweep import ablation_experiments
    from toolkit.reporting.plots.sweep import contributions

    found = run(ablation_experiments(settings, arm, prefix))
    compared = compare_transforms(found, arm, settings.compare)
    effects = transform_effects(compared)
    picture = contributions(effects)
    return compared, effect_table(effects), effects_csv(effects), picture


def _experiments(wanted: dict[Any, Any], *, force: bool, quiet: bool) -> dict[Any, Any]:
    """Run the experiments one after the other, and read their evaluations."""
    from toolkit.pipeline import experiments

    experiments.check_repository(Path())
    for experiment in wanted.values():
        if not force and experiments.is_done(Path(), experiment):
            console.say(f"{experiment.name}: was done before", quiet=quiet)
            continue
        log = LOGS / f"{experiment.name}.log"
        console.say(f"{experiment.name}: running; what DVC says goes to {log}", quiet=quiet)
        experiments.run_experiment(Path(), experiment, STAGE, log)
    return {key: experiments.read_evaluations(Path(), e, project.RUNS) for key, e in wanted.items()}


def probe(
    arm: Annotated[Path, typer.Argument(help="A folder that `augment` wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file.")] = None,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Say how well the new images can be told from originals, by a classifier that tries.

    Example: toolkit probe data/arms/augmented --output reports/probe/augmented.json
    """
    from toolkit.evaluation.probe import describe_probe, probe_arm, probe_table, write_probe

    found = probe_arm(arm, workers=options.process_count(workers), track=console.track(quiet))
    for line in describe_probe(found):
        typer.echo(line)
    if found.by_transform:
        typer.echo(console.table(probe_table(found)))
    if output:
        write_probe(output, found)


def report(output: Output = Path("reports/index.html"), quiet: Quiet = False) -> None:
    """Write the page that shows everything: one HTML file that needs no network.

    Example: toolkit report --output reports/index.html
    """
    from toolkit.checks import findings
    from toolkit.io import files
    from toolkit.reporting import page
    from toolkit.reporting.comparison import comparison_page

    results = _results([project.RUNS])
    given = page.PageInputs(
        _compared(results, options.read_project().compare.baseline),
        results,
        audit=findings.read_audit(project.AUDIT),
        audited=project.AUDITED if project.AUDITED.is_dir() else None,
        prepared=project.PREPARED,
        arms=project.ARMS,
        runs=project.RUNS,
        probes=project.PROBES,
        params=without_logins(project.PARAMS.read_text(encoding="utf-8")),
    )
    files.write_file(output, comparison_page(given))
    console.say(f"report: {output}", quiet=quiet)
