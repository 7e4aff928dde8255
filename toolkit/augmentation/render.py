"""Plan -> files: the only writer of derived pixels."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import progress
from toolkit.augmentation import batches, contact_sheet, journal, originals, plan
from toolkit.augmentation.batches import RenderJob
from toolkit.augmentation.journal import Journal, JournalEntry
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.summary import AugmentationReport, Tally
from toolkit.augmentation.transforms import parsing
from toolkit.augmentation.transforms.parsing import PolicySpec
from toolkit.augmentation.transforms.policy import Policy
from toolkit.errors import InputError
from toolkit.io import files, images
from toolkit.io.manifest import (
    COLUMNS,
    TABLE,
    Manifest,
    Sample,
    content_hash,
    content_id,
    row_fields,
    write_manifest,
    write_sidecar,
)
from toolkit.io.parallel import unordered_map


@dataclass(frozen=True)
class OutputFormat:
    """How the output is written.

    only_new: without copies of the originals, to which the manifest points instead; shards: images
    as members of so many tar files (see `shards`), 0 for files in folders; force: a folder that is
    not ours and stands in the way is replaced.
    """

    only_new: bool = False
    shards: int = 0
    force: bool = False


@dataclass(frozen=True)
class AugmentationSummary:
    """What was made.

    Per class: new images, those equal to their parent, and the fewest and the most copies that a
    parent got. Per transform: new images.
    """

    new: Mapping[str, int]
    identical: Mapping[str, int]
    copies: Mapping[str, Mapping[str, int]]
    transforms: Mapping[str, int]


@dataclass(frozen=True)
class AugmentationResult:
    """Images of each class, the summary, a report, and a manifest of what a contact sheet shows."""

    counts: Mapping[str, int]
    summary: AugmentationSummary
    report: AugmentationReport
    shown: Manifest


def augment_folder(
    folder: Path,
    output: Path,
    settings: AugmentParams,
    policy: Policy | PolicySpec,
    *,
    size: int | None = None,
    form: OutputFormat = OutputFormat(),
    workers: int = 1,
    track: progress.Track = progress.silent,
) -> AugmentationResult:
    """Bring the classes of a training folder to `settings.target`, in the new folder `output`.

    `folder` has a manifest of ours, or is laid out <class>/file. `output` gets <class>/file with
    the originals as they are and the new images beside them, plan.csv and manifest.csv with all
    samples, unless `form` says otherwise.
    `size` is the side in pixels to which a parent is resized first. The bytes do not depend on
    `workers`, nor on how often a run was interrupted: the next one goes on with what is there.
    Memory does not grow with the new images but for some 100 bytes each.
    Raises InputError for a folder that is no training folder or was augmented before, a damaged
    parent, an output that touches the folder or is not ours, and what plan and policy refuse.
    """
    chosen = policy if isinstance(policy, Policy) else parsing.make_policy(policy)
    source = originals.load_originals(folder, output, track, workers)
    quotas = plan.quotas(source.counts(), settings.target, settings.classes)
    parsing.check_policy_classes(chosen, source.classes, quotas)
    kept = originals.place_originals(source, folder, output, form.only_new, form.shards)
    homes = None if form.only_new else kept
    codec_notes = _codec_notes(settings.format, size, chosen)
    rest = (quotas, settings.draw, settings.seed, chosen, codec_notes, form.only_new, form.shards)
    key = _key((*source.samples, rest))
    assigned = plan.assign_parents(source.samples, quotas, draw=settings.draw, seed=settings.seed)
    work = batches.arrange(source, assigned, homes, form.shards)
    del assigned  # 36 bytes of memory a row, and again in every worker that looks at them
    same_run = partial(journal.matches, key=key)
    with files.new_folder(output, plan.TABLE, same_run, force=form.force) as building:
        look = (size, settings.format, chosen, settings.seed)
        job = RenderJob(folder, building, *look, source.classes, quotas, *work)
        with contextlib.closing(Journal(building, key, sum(quotas.values()))) as done:
            _render_all(job, done, workers, track)
            made = _write_tables(building, replace(source, samples=kept), job, done, codec_notes)
        (building / journal.NAME).unlink()
    return made


def write_original(folder: Path, output: Path, track: progress.Track = progress.silent) -> Manifest:
    """Write the arm "original": a manifest that points to the originals, and an empty plan."""
    source = originals.load_originals(folder, output, track)
    with files.new_folder(output, plan.TABLE) as building:
        kept = originals.link_original(source, folder, output)
        manifest = Manifest(source.classes, kept, _rejected(source))
        plan.write_plan(building, ())
        write_manifest(building, manifest)
    return manifest


def _rejected(source: Manifest) -> dict[str, Any]:
    """What the scan of a plain folder found that is no image."""
    return {key: value for key, value in source.notes.items() if key == "rejected"}


def describe_summary(made: AugmentationResult) -> list[str]:
    """What was made, for a person, a line for each class."""
    summary, lines = made.summary, []
    for name, count in made.counts.items():
        new = summary.new[name]
        line = f"{name}: {count - new} originals + {new} new = {count}"
        if new:
            copies, same = summary.copies[name], summary.identical[name]
            numbers = " to ".join(str(n) for n in sorted({copies["fewest"], copies["most"]}))
            line += f"; copies of each original: {numbers}"
            line += f"; {same} equal to their original ({100 * same / new:.0f} %)" if same else ""
        else:
            line += " (no more asked for)"
        lines.append(line)
    if not any(summary.new.values()):
        lines.append("every class is as large as asked for already: no new images")
    return lines


# --- new images -------------------------------------------------------------------------------


def _key(parts: Iterable[object]) -> str:
    """What a journal is known by: a sha256 of all that plan and bytes depend on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _render_all(job: RenderJob, done: Journal, workers: int, track: progress.Track) -> None:
    """Do the units that the journal does not have, or whose files are not what it says."""
    finished = done.load(job.positions, partial(batches.good, job))
    todo = [unit for unit in range(len(job.units)) if unit not in finished]
    rendered = unordered_map(partial(batches.work, job), todo, workers)
    for unit, entries in track(rendered, "augment", len(todo)):
        done.add(unit, job.positions(unit), entries)


# --- tables -----------------------------------------------------------------------------------


def _write_tables(
    building: Path, kept: Manifest, job: RenderJob, done: Journal, codec_notes: Mapping[str, Any]
) -> AugmentationResult:
    """Write plan.csv and the manifest of originals and new images, row by row."""
    count, tally, gallery = _Count(), Tally(), _Gallery()
    taken = {sample.path for sample in kept.samples}
    with (
        files.csv_table(building / plan.TABLE, plan.COLUMNS) as add_row,
        files.csv_table(building / TABLE, COLUMNS) as add_sample,
    ):
        for sample in kept.samples:
            add_sample(row_fields(sample))
        for of, path, line, ident in _children(kept, job, done):
            if path in taken:
                raise InputError(f"{path}: an original has the name of a new image; rename it")
            drawn = (line.transform, line.params, line.seed)
            add_row((of.id, of.label, line.number, *drawn))
            add_sample((ident, path, of.label, of.split, of.group, of.id, *drawn))
            count.add(of, line)
            tally.add(of, ident, path, line)
            gallery.add(of, ident, path, line)
    summary = count.summary(kept)
    notes = {**_rejected(kept), "codec": codec_notes, "summary": asdict(summary)}
    write_sidecar(building, kept.classes, notes)
    counts = {name: number + summary.new[name] for name, number in kept.counts().items()}
    return AugmentationResult(counts, summary, tally.report(), gallery.manifest(kept))


def _children(
    kept: Manifest, job: RenderJob, done: Journal
) -> Iterator[tuple[Sample, str, JournalEntry, str]]:
    """For each row of the plan its parent, and the path, the line and the id of its image.

    Ids as `manifest.unique_ids` gives originals and children, but the originals keep theirs.
    """
    seen = Counter(content_hash(sample) for sample in kept.samples)
    for position, index in enumerate(job.by_position()):
        batch, line = job.batches[index], done.row(position)
        seen[line.digest] += 1
        while (ident := content_id(line.digest, seen[line.digest])) in kept.by_id:
            seen[line.digest] += 1
        yield kept.by_id[batch.parent.id], job.path(batch, line.number), line, ident


class _Gallery:
    """The families that a contact sheet may show: of each class the first few, and their first."""

    def __init__(self) -> None:
        self.families: dict[str, list[Sample]] = {}
        self._parents: Counter[str] = Counter()

    def add(self, of: Sample, ident: str, path: str, line: JournalEntry) -> None:
        if of.id not in self.families and self._parents[of.label] < contact_sheet.PARENTS:
            self._parents[of.label] += 1
            self.families[of.id] = []
        family = self.families.get(of.id)
        if family is not None and len(family) < contact_sheet.CHILDREN:
            family.append(batches.child(of, ident, path, line))

    def manifest(self, kept: Manifest) -> Manifest:
        """Parents, then children, in the order of the whole manifest."""
        parents = [kept.by_id[parent] for parent in self.families]
        children = [child for family in self.families.values() for child in family]
        return Manifest(kept.classes, (*parents, *children))


@dataclass
class _Count:
    """What the summary is made of."""

    copies: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    identical: Counter[str] = field(default_factory=Counter)
    transforms: Counter[str] = field(default_factory=Counter)

    def add(self, parent: Sample, line: JournalEntry) -> None:
        self.copies[parent.id] += 1
        self.new[parent.label] += 1
        self.identical[parent.label] += line.same
        self.transforms[line.transform] += 1

    def summary(self, kept: Manifest) -> AugmentationSummary:
        """Of the originals `kept`."""
        numbers = {n: [self.copies[s.id] for s in kept.samples if s.label == n] for n in self.new}
        return AugmentationSummary(
            new={name: self.new[name] for name in kept.classes},
            identical={name: self.identical[name] for name in kept.classes},
            copies={
                name: {"fewest": min(found), "most": max(found)}
                for name, found in sorted(numbers.items())
            },
            transforms=dict(sorted(self.transforms.items())),
        )


def _codec_notes(encoder: str, size: int | None, policy: Policy) -> dict[str, Any]:
    """What the bytes depend on besides the plan."""
    return {
        "format": encoder,
        **images.ENCODER_SETTINGS[encoder],
        "size": size,
        **images.encoder_versions(encoder),
        **parsing.policy_versions(policy),
    }
