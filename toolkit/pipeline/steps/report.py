"""`toolkit report`, and `toolkit.report`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.checks.findings import read_audit
from toolkit.errors import InputError
from toolkit.evaluation.advice import closing_sentences, taken_standing
from toolkit.evaluation.comparison import Comparison, compare_results, look_at_primary
from toolkit.evaluation.leaderboard import leaderboard_table
from toolkit.io import files
from toolkit.io.manifest import TABLE
from toolkit.io.notebook import html_table
from toolkit.io.text import strip_credentials
from toolkit.metrics.params import MARGIN
from toolkit.pipeline import paths
from toolkit.pipeline.steps.compare import evaluation_folders, read_results
from toolkit.pipeline.timing import arm_seconds
from toolkit.reporting.comparison import comparison_page
from toolkit.reporting.page import PageInputs


@dataclass(frozen=True)
class Report:
    """A page that was written, how many evaluations it shows, and what it says first.

    `seconds` are those of a run, by recipe and arm, as far as they are known.
    """

    path: Path
    evaluations: int
    comparison: Comparison
    seconds: Mapping[tuple[str, str], float]

    def _repr_html_(self) -> str:
        return html_table(self.rows, " ".join(self.sentences))

    @property
    def rows(self) -> list[list[str]]:
        """The table of the remedies, header first."""
        compared = self.comparison
        return leaderboard_table(compared.leaderboard, self.seconds, taken_standing(compared))

    @property
    def sentences(self) -> list[str]:
        """Which remedy to take, what it brings, how sure that is, and what would help."""
        return closing_sentences(self.comparison)


def report(
    output: Path | str = Path("reports/index.html"),
    *,
    runs: Path | str | Sequence[Path | str] = paths.RUNS,
    baseline: str | None = None,
    control: str | None = None,
    resamples: int = 2000,
    seed: int = 0,
    primary: tuple[str, str, str] | None = None,
    margin: float = MARGIN,
    looks: Sequence[int] = (),
    published: Sequence[str] | None = None,
) -> Report:
    """Write one HTML page that shows everything and needs no network.

    `output` is its path, `runs` are the evaluations; `baseline`, `control`, `resamples`, `seed`,
    `primary`, `margin`, `looks` and `published` are those of `compare`. What else the working
    folder holds of a project is shown too: reports/audit.json, data/raw, data/prepared, data/arms,
    reports/probe and params.yaml. Raises InputError for files that cannot be read.
    """
    files.check_output(output, file=True)
    several = [runs] if isinstance(runs, Path | str) else runs
    folders = [folder for place in several for folder in evaluation_folders(Path(place))]
    if not folders:
        raise InputError("there is no evaluation to show; write one with `toolkit evaluate`")
    results = read_results(folders)
    compared = compare_results(
        results,
        baseline or results[0].arm,
        control,
        resamples=resamples,
        seed=seed,
        primary=primary,
        margin=margin,
        published=published,
    )
    compared = look_at_primary(compared, looks)
    inputs = PageInputs(
        compared,
        results,
        audit=read_audit(paths.AUDIT) if paths.AUDIT.is_file() else None,
        audited=_folder(paths.AUDITED),
        raw=paths.RAW if (paths.RAW / TABLE).is_file() else None,
        prepared=_folder(paths.PREPARED),
        arms=_folder(paths.ARMS),
        probes=_folder(paths.PROBES),
        params=_params(),
    )
    files.write_file(Path(output), comparison_page(inputs))
    return Report(Path(output), len(results), compared, arm_seconds(r.key for r in results))


def _folder(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _params() -> str:
    if not paths.PARAMS.is_file():
        return ""
    return strip_credentials(paths.PARAMS.read_text(encoding="utf-8"))
