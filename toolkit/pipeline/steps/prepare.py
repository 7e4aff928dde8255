"""`toolkit prepare`, and `toolkit.prepare`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.checks.findings import Audit, read_audit
from toolkit.datasets import folders
from toolkit.datasets.local import open_images
from toolkit.datasets.params import PrepareParams, ReadParams
from toolkit.datasets.prepare import MARKER, Selection, write_splits
from toolkit.datasets.tables.decisions import DecidedImages, follow_decisions, read_decision_table
from toolkit.errors import InputError
from toolkit.io import files, parallel
from toolkit.io.images import LIMITS, ImageLimits
from toolkit.io.manifest import Manifest
from toolkit.io.notebook import html_table
from toolkit.io.schema import build
from toolkit.progress import Track, silent


@dataclass(frozen=True)
class PreparedSplits:
    """The manifests of the prepared splits, by name, and the folder that they lie in.

    `left_out` are the files that are not used, each with a path and a reason; `read` is how the
    folder of raw images was understood, `cut` what the source's train gave to other splits,
    `decisions` the number of images that a person decided about, by kind.
    """

    folder: Path
    splits: Mapping[str, Manifest]
    left_out: Sequence[Mapping[str, str]] = ()
    read: str = ""
    cut: Sequence[str] = ()
    decisions: Mapping[str, int] = field(default_factory=dict)

    @property
    def files(self) -> int:
        """The number of files, used or not."""
        return len(self.left_out) + sum(len(part.samples) for part in self.splits.values())

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(part.samples)}" for name, part in self.splits.items())
        return f"PreparedSplits({str(self.folder)!r}: {sizes})"

    def _repr_html_(self) -> str:
        classes = next(iter(self.splits.values())).classes
        rows = [[name, *part.counts().values()] for name, part in self.splits.items()]
        return html_table([["split", *classes], *rows], str(self.folder))


def prepare(
    raw: Path | str,
    output: Path | str,
    *,
    audit: Audit | Path | str | None = None,
    decisions: Path | str | None = None,
    size: int = 128,
    seed: int = 0,
    split: str | Mapping[str, Any] = "auto",
    valid_fraction: float = 0.2,
    test_fraction: float = 0.2,
    limits: ImageLimits = LIMITS,
    workers: int = 0,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> PreparedSplits:
    """Split images into train, valid and test; decode, resize and write them as PNG.

    `raw` is a folder that `fetch` wrote, or another, read as the keys of `fetch` in `reading` say.
    What `audit` (the result, or its audit.json) drops is left out, and what it groups stays in one
    split. `decisions` is a table of what a person decided about single images (docs/decisions.md),
    which the audit must have followed too. `output` gets a folder for each split; `size` is the
    side in pixels. `split` is "source" (keep the splits that are there), `{"fractions": {"train":
    .7, "valid": .15, "test": .15}}` (split anew), `{"counts": {...}}`, `{"folds": 5, "repeats": 2}`
    (cross-fitting: train has all images but those of the source's test, and test lists them again),
    or "auto": the first where there are images in train and another split, else the second. They
    are drawn with `seed`; `valid_fraction` and `test_fraction` are what "source" cuts from train
    where there is no valid or test image of a class. `limits` are what one image file may cost;
    `workers` are processes, 0 for one per core. Raises InputError for a split that the images do
    not allow, for files changed since the audit, and for decisions that do nothing, contradict one
    another or are not those of the audit.
    """
    files.check_replaceable(output, MARKER)
    params = {
        "size": size,
        "seed": seed,
        "split": split,
        "valid_fraction": valid_fraction,
        "test_fraction": test_fraction,
    }
    how, place = build(ReadParams, reading, "reading"), Path(output)
    to_follow = read_decision_table(decisions)
    folder = open_images(raw, track=track, say=say, links=how.follow_links).folder
    result = read_audit(Path(audit)) if isinstance(audit, str | Path) else audit
    found = folders.scan(
        folder,
        track,
        workers or parallel.cores(),
        whole=result is None,
        settings=how,
    )
    decided = follow_decisions(found, to_follow)
    _check_decisions(decided, result)
    found = decided.manifest
    splits = write_splits(
        found,
        folder,
        place,
        build(PrepareParams, params, ""),
        selection=Selection(
            drop=result.dropped if result else (),
            groups=result.grouped if result else (),
            left_out=[
                *decided.left_out,
                *_dropped(found, result),
                *found.notes.get("rejected", ()),
            ],
            decided=decided.counts,
        ),
        limits=limits,
        processes=workers or parallel.cores(),
        track=track,
    )
    notes = splits["train"].notes
    return PreparedSplits(
        place,
        splits,
        notes.get("left_out", ()),
        found.notes.get("read", ""),
        notes.get("cut", ()),
        decided.counts,
    )


def _check_decisions(decided: DecidedImages, result: Audit | None) -> None:
    """Refuse an audit of other decisions: of a set of copies, it may drop the one that is left."""
    if result and result.decisions != decided.sha256:
        followed = "a table of decisions" if result.decisions else "no table of decisions"
        now = "prepare.decisions names none"
        if decided.sha256:
            now = "it has changed" if result.decisions else "prepare.decisions names one"
        raise InputError(
            f"the audit followed {followed}, and {now}: run `toolkit audit` again with the same "
            f"decisions (`dvc repro` does)"
        )


def _dropped(found: Manifest, result: Audit | None) -> list[dict[str, str]]:
    """Return path and reason of each sample that the audit leaves out."""
    findings = result.findings if result else ()
    reasons = {ident: finding.check for finding in reversed(findings) for ident in finding.drop}
    samples = (sample for sample in found.samples if sample.id in reasons)
    return [{"path": sample.path, "reason": reasons[sample.id]} for sample in samples]
