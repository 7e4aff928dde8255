"""Commands that set runs side by side and show what came out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit import cli_shared as shared
from toolkit import console, places
from toolkit.cli_shared import Output, Quiet, Workers
from toolkit.errors import InputError
from toolkit.printable import without_logins

if TYPE_CHECKING:  # heavy modules are imported by the command that needs them
    from toolkit import comparison, params

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
    positive: shared.PositiveClass = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="summary.json.")] = None,
) -> None:
    """Print arms against the baseline; with --output also write summary.json and pictures.

    A folder of folders stands for those in it, in a project for those that params.yaml compares.
    NAME=PATH names the arm; a name that is given several times has several seeds.

    Example: toolkit compare original=a0.csv original=a1.csv mine=b0.csv mine=b1.csv

    Example: toolkit compare --rev main HEAD
    """
    from toolkit import wording

    if rev:
        results = _revisions([*rev, *(reports or [])])
    else:
        results = _results(reports or [places.RUNS], positive)
    compared = _compared(results, baseline)
    if markdown:
        typer.echo(wording.markdown(compared), nl=False)
    else:
        typer.echo(console.table(wording.table(compared)))
        for line in (*map(wording.sentence, compared.contrasts), *wording.notes(compared)):
            typer.echo(line)
    if output:
        from toolkit import report

        report.write_comparison(output, compared, results)


def _compared(results: list[Any], baseline: str | None) -> "comparison.Comparison":
    """As params.yaml says, where its arms are among the results; else against the first arm."""
    from toolkit import comparison

    arms = [result.arm for result in results]
    if not places.PARAMS.is_file():
        return comparison.compare(results, baseline or arms[0])
    settings = shared.project().compare
    usual = settings.baseline if settings.baseline in arms else arms[0]
    control = settings.control if settings.control in arms else None
    return comparison.compare(
        results, baseline or usual, control, resamples=settings.resamples, seed=settings.seed
    )


def _revisions(names: list[str]) -> list[Any]:
    from toolkit import revisions

    results, left = revisions.read(Path(), names, places.RUNS)
    for name, pairs in left.items():
        console.say(f"left out, not in every revision: {'; '.join(pairs)} of {name}")
    return results


def _results(given: Sequence[str | Path], positive: str | None = None) -> list[Any]:
    from toolkit import results, training_params

    positive = positive or shared.section("evaluate", training_params.Evaluate).positive
    found, seeds = [], Counter[str]()
    for text in map(str, given):
        name, separator, path = text.partition("=")
        if separator and not Path(text).exists():
            result = results.read_result(Path(path), positive)
            found.append(replace(result, arm=name, seed=seeds[name]))
            seeds[name] += 1
        else:
            found += [results.read_result(place, positive) for place in _reports(Path(text))]
    return found


def _reports(place: Path) -> list[Path]:
    """The evaluations that a path stands for."""
    if not place.is_dir() or (place / "metrics.json").is_file():
        return [place]
    if places.PARAMS.is_file():
        from toolkit import revisions

        return [place / str(key) for key in revisions.keys(shared.project().compare)]
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
    from toolkit import files, wording

    if (target is None) == (leave_one_out is None):
        raise typer.BadParameter("give --target NUMBERS or --leave-one-out ARM")
    run = partial(_experiments, force=force, quiet=quiet)
    if target is not None:
        name = "target"
        compared, table, text, picture = _targets(shared.project(), target, prefix, run)
    else:
        name = f"without-{leave_one_out}"
        compared, table, text, picture = _transforms(
            shared.project(), str(leave_one_out), prefix, run
        )
    files.write(output / f"{name}.csv", text)
    files.write(output / f"{name}.png", picture)
    typer.echo(console.table(table))
    for line in wording.notes(compared):
        typer.echo(line)
    console.say(f"{output / name}.csv and .png: written", quiet=quiet)


Swept = tuple["comparison.Comparison", list[list[str]], str, bytes]


def _targets(settings: "params.Params", text: str, prefix: str, run: Any) -> Swept:
    from toolkit import sweep, sweep_plots

    found = run(sweep.by_target(settings, sweep.parse_targets(text), prefix))
    compared = sweep.compare_targets(found, settings.compare)
    points = sweep.points(compared)
    picture = sweep_plots.response(points)
    return compared, sweep.point_table(points), sweep.points_csv(points), picture


def _transforms(settings: "params.Params", arm: str, prefix: str, run: Any) -> Swept:
    from toolkit import sweep, sweep_plots

    found = run(sweep.leaving_out(settings, arm, prefix))
    compared = sweep.compare_transforms(found, arm, settings.compare)
    effects = sweep.effects(compared)
    picture = sweep_plots.contributions(effects)
    return compared, sweep.effect_table(effects), sweep.effects_csv(effects), picture


def _experiments(wanted: dict[Any, Any], *, force: bool, quiet: bool) -> dict[Any, Any]:
    """Run the experiments one after the other, and read their evaluations."""
    from toolkit import experiments

    experiments.check(Path())
    for experiment in wanted.values():
        if not force and experiments.done(Path(), experiment):
            console.say(f"{experiment.name}: was done before", quiet=quiet)
            continue
        log = LOGS / f"{experiment.name}.log"
        console.say(f"{experiment.name}: running; what DVC says goes to {log}", quiet=quiet)
        experiments.run(Path(), experiment, STAGE, log)
    return {key: experiments.evaluations(Path(), e, places.RUNS) for key, e in wanted.items()}


def probe(
    arm: Annotated[Path, typer.Argument(help="A folder that `augment` wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file.")] = None,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Say how well the new images can be told from originals, by a classifier that tries.

    Example: toolkit probe data/arms/augmented --output reports/probe/augmented.json
    """
    from toolkit import probe as probes

    found = probes.probe(arm, workers=shared.processes(workers), track=console.track(quiet))
    for line in probes.describe(found):
        typer.echo(line)
    if found.by_transform:
        typer.echo(console.table(probes.table(found)))
    if output:
        probes.write(output, found)


def report(output: Output = Path("reports/index.html"), quiet: Quiet = False) -> None:
    """Write the page that shows everything: one HTML file that needs no network.

    Example: toolkit report --output reports/index.html
    """
    from toolkit import files, findings, sections
    from toolkit import report as reports

    results = _results([places.RUNS])
    given = sections.Inputs(
        _compared(results, shared.project().compare.baseline),
        results,
        audit=findings.read(places.AUDIT),
        audited=places.AUDITED if places.AUDITED.is_dir() else None,
        prepared=places.PREPARED,
        arms=places.ARMS,
        runs=places.RUNS,
        probes=places.PROBES,
        params=without_logins(places.PARAMS.read_text(encoding="utf-8")),
    )
    files.write(output, reports.page(given))
    console.say(f"report: {output}", quiet=quiet)
