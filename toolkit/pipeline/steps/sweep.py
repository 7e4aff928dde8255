"""`toolkit sweep`, and `toolkit.sweep`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from toolkit.errors import InputError
from toolkit.evaluation import sweep as numbers
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.results import RunResult
from toolkit.io import files
from toolkit.io.notebook import html_image
from toolkit.metrics.params import CompareParams
from toolkit.pipeline import experiments, params, paths
from toolkit.pipeline.experiments import Experiment
from toolkit.pipeline.sweep import ablation_experiments, parse_targets, target_experiments
from toolkit.reporting.plots.sweep import ablation_figure, response_figure

STAGE = "compare"


@dataclass(frozen=True)
class Sweep:
    """A sweep: its comparisons, their main numbers as rows (header first), and the files."""

    comparisons: Sequence[Comparison]
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
    name = "target" if target is not None else f"without-{leave_one_out}"
    table, image = Path(output) / f"{name}.csv", Path(output) / f"{name}.png"
    for path in (table, image):
        files.check_output(path, file=True)
    settings = params.read_settings(paths.PARAMS)
    if target is not None:
        text = target if isinstance(target, str) else ",".join(map(str, target))
        targets = target_experiments(settings, parse_targets(text), prefix)
        swept = _targets(_run(targets, force, say), settings.compare)
    else:
        arm = str(leave_one_out)
        ablations = ablation_experiments(settings, arm, prefix)
        swept = _transforms(_run(ablations, force, say), arm, settings.compare)
    comparisons, rows, csv, picture = swept
    files.write_file(table, csv)
    files.write_file(image, picture)
    return Sweep(comparisons, rows, table, image)


K = TypeVar("K")
Results = list[RunResult]
Swept = tuple[Sequence[Comparison], list[list[str]], str, bytes]


def _targets(results: Mapping[int, Results], params: CompareParams) -> Swept:
    comparisons = numbers.compare_targets(results, params)
    points = numbers.sweep_points(comparisons)
    rows, csv = numbers.point_table(points), numbers.points_csv(points)
    return [*comparisons.values()], rows, csv, response_figure(points)


def _transforms(results: Mapping[str | None, Results], arm: str, params: CompareParams) -> Swept:
    comparisons = numbers.compare_transforms(results, arm, params)
    effects = numbers.transform_effects(comparisons)
    rows, csv = numbers.effect_table(effects), numbers.effects_csv(effects)
    return [*comparisons.values()], rows, csv, ablation_figure(effects)


def _run(
    wanted: Mapping[K, Experiment], force: bool, say: Callable[[str], object]
) -> dict[K, Results]:
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
