"""`toolkit sweep`, and `toolkit.sweep`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.evaluation import sweep as numbers
from toolkit.evaluation.comparison import Comparison
from toolkit.io import files
from toolkit.io.notebook import html_image
from toolkit.pipeline import experiments, paths, project
from toolkit.pipeline.experiments import Experiment
from toolkit.pipeline.params import Params
from toolkit.pipeline.sweep import ablation_experiments, parse_targets, target_experiments
from toolkit.reporting.plots.sweep import contributions, response

STAGE = "compare"


@dataclass(frozen=True)
class Sweep:
    """A sweep: the comparison, its main numbers as rows (header first), and the files."""

    comparison: Comparison
    rows: Sequence[Sequence[str]]
    table: Path
    picture: Path

    def __repr__(self) -> str:
        return f"Sweep({str(self.table)!r}, {len(self.rows) - 1} rows)"

    def _repr_html_(self) -> str:
        return html_image(self.picture.read_bytes(), self.picture.name)


def sweep(
    *,
    target: str | Sequence[int] | None = None,
    leave_one_out: str | None = None,
    prefix: str = "sweep",
    output: Path | str = Path("reports/sweep"),
    force: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Sweep:
    """Run a DVC experiment for each target, or without each transform of an arm.

    In a project. `target` is like "60,120,240" or [60, 120, 240]; `leave_one_out` an arm. The
    experiments start from the commit, with what was changed since, and leave the workspace as it
    is; those of `prefix` that are done are not run again without `force`. A CSV and a picture are
    written to `output`. `say` gets a line for each experiment. Raises InputError outside a project.
    """
    if (target is None) == (leave_one_out is None):
        raise InputError("give either target (numbers) or leave_one_out (an arm)")
    settings = project.read_settings(paths.PARAMS)
    run = partial(_run, force=force, say=say)
    if target is not None:
        text = target if isinstance(target, str) else ",".join(map(str, target))
        name, made = "target", _targets(settings, text, prefix, run)
    else:
        name = f"without-{leave_one_out}"
        made = _transforms(settings, str(leave_one_out), prefix, run)
    compared, rows, csv, picture = made
    table, image = Path(output) / f"{name}.csv", Path(output) / f"{name}.png"
    files.write_file(table, csv)
    files.write_file(image, picture)
    return Sweep(compared, rows, table, image)


Runner = Callable[[Mapping[Any, Experiment]], dict[Any, Any]]
Swept = tuple[Comparison, list[list[str]], str, bytes]


def _targets(settings: Params, text: str, prefix: str, run: Runner) -> Swept:
    results = run(target_experiments(settings, parse_targets(text), prefix))
    compared = numbers.compare_targets(results, settings.compare)
    points = numbers.sweep_points(compared)
    return compared, numbers.point_table(points), numbers.points_csv(points), response(points)


def _transforms(settings: Params, arm: str, prefix: str, run: Runner) -> Swept:
    results = run(ablation_experiments(settings, arm, prefix))
    compared = numbers.compare_transforms(results, arm, settings.compare)
    effects = numbers.transform_effects(compared)
    picture = contributions(effects)
    return compared, numbers.effect_table(effects), numbers.effects_csv(effects), picture


def _run(
    wanted: Mapping[Any, Experiment], *, force: bool, say: Callable[[str], object]
) -> dict[Any, Any]:
    """Run the experiments one after the other, and read their evaluations."""
    folder = Path()
    experiments.check_repository(folder)
    for experiment in wanted.values():
        if not force and experiments.is_done(folder, experiment):
            say(f"{experiment.name}: was done before")
            continue
        log = paths.SWEEP_LOGS / f"{experiment.name}.log"
        say(f"{experiment.name}: running; what DVC says goes to {log}")
        experiments.run_experiment(folder, experiment, STAGE, log)
    return {
        key: experiments.read_evaluations(folder, experiment, paths.RUNS)
        for key, experiment in wanted.items()
    }
