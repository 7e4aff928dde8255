"""Write the training folder with new images: the only writer of derived pixels."""

import contextlib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import progress
from toolkit.augmentation import batches, contact_sheet, journal, originals, plan, similarity
from toolkit.augmentation.batches import RenderJob
from toolkit.augmentation.cost import check_cost
from toolkit.augmentation.journal import Journal, JournalEntry
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.summary import AugmentationReport, Tally
from toolkit.augmentation.transforms import parsing
from toolkit.augmentation.transforms.parsing import PolicySpec
from toolkit.augmentation.transforms.policy import Policy
from toolkit.datasets.folds import NEW
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import closure, files, images, samples
from toolkit.io.manifest import (
    TABLE,
    Manifest,
    Sample,
    content_hash,
    content_id,
    row_fields,
    write_manifest,
    write_sidecar,
)
from toolkit.io.sandbox import Stopped, sandboxed_map


@dataclass(frozen=True)
class OutputFormat:
    """How the output is written.

    only_new: without copies of the originals; the manifest points to where they are instead.
    shards: the number of tar files to write the images to (see `io.shards`); 0 for <class>/file.
    force: replace a folder that is in the way and was not written by the toolkit.
    yes: write more than `AugmentParams.limit`.
    """

    only_new: bool = False
    shards: int = 0
    force: bool = False
    yes: bool = False


@dataclass(frozen=True)
class AugmentationSummary:
    """The new images in numbers.

    Per class: new images, those equal to their parent, and the fewest and the most copies of one
    parent. Per transform: new images.
    """

    new: Mapping[str, int]
    identical: Mapping[str, int]
    copies: Mapping[str, Mapping[str, int]]
    transforms: Mapping[str, int]


@dataclass(frozen=True)
class AugmentationResult:
    """Images of each class, a summary, a report, and the manifest of a contact sheet.

    `rejected` are the files that are not used, each with a path and a reason; `read` is how the
    folder was understood. `trained` says how many of the new images of a class are used with all
    images, where there are more for the sake of folds.
    """

    counts: Mapping[str, int]
    summary: AugmentationSummary
    report: AugmentationReport
    shown: Manifest
    rejected: Sequence[Mapping[str, str]] = ()
    read: str = ""
    trained: Mapping[str, int] = field(default_factory=dict)


def augment_folder(  # noqa: PLR0913 - how it reads and how it writes
    folder: Path,
    output: Path,
    settings: AugmentParams,
    policy: Policy | PolicySpec,
    *,
    size: int | None = None,
    form: OutputFormat = OutputFormat(),
    reading: ReadParams = BY_NAME,
    workers: int = 1,
    track: progress.Track = progress.silent,
) -> AugmentationResult:
    """Bring the classes of a training folder to `settings.target`, in the new folder `output`.

    `folder` has a manifest written by the toolkit, or is read as `reading` says. `output` gets
    <class>/file with the originals as they are and the new images beside them, plan.csv, and
    manifest.csv with all samples, unless `form` says otherwise. `size` is the side in pixels to
    which parents are resized first. The arms of `settings` are not used.

    The bytes depend neither on `workers` nor on interruptions: the next run continues an
    interrupted one. Memory grows by some 100 bytes for each new image.

    Files that do not decode are left out, and listed in the notes of the manifest. Raises
    InputError if `folder` is not a training folder or was augmented before, if its manifest lists a
    file that was changed or does not decode, if `output` touches `folder` or was not written by the
    toolkit, and for whatever does not suit the plan or the policy.
    """
    chosen = policy if isinstance(policy, Policy) else parsing.make_policy(policy)
    source = originals.load_originals(folder, output, track, workers, reading)
    quotas = plan.compute_quotas(source.counts(), settings.target, settings.classes)
    if source.divisions:
        quotas, source = _plan_for_folds(source, quotas, settings)
    parsing.check_policy_classes(chosen, source.classes, quotas)
    if not files.building_place(output).exists():  # an interrupted run goes on
        growing = [s for s in source.samples if s.label in quotas and not s.derived]
        count = sum(quotas.values())
        check_cost(folder, output, growing, count, chosen, settings, size=size, accepted=form.yes)
    if not form.only_new:
        originals.verify_copies(source, folder, track, workers)
    kept = originals.place_originals(source, folder, output, form.only_new, form.shards)
    bits = images.noted_bits(source.notes)
    codec_notes = _codec_notes(settings.format, size, chosen) | ({"bits": bits} if bits else {})
    rest = (quotas, settings.draw, settings.seed, chosen, codec_notes, form.only_new, form.shards)
    key = _journal_key((*source.samples, rest, closure.package_digest()))
    assigned = plan.assign_parents(source.samples, quotas, draw=settings.draw, seed=settings.seed)
    homes = None if form.only_new else kept
    all_batches = batches.make_batches(source, assigned, homes, form.shards)
    del assigned  # 36 bytes a row, and again in every worker that touches them
    same_run = partial(journal.matches, key=key)
    with files.new_folder(output, plan.TABLE, same_run, force=form.force) as building:
        job = RenderJob(
            folder=folder,
            building=building,
            size=size,
            bits=bits,
            format=settings.format,
            policy=chosen,
            seed=settings.seed,
            classes=source.classes,
            quotas=quotas,
            batches=all_batches,
            units=batches.group_batches(all_batches),
        )
        with contextlib.closing(Journal(building, key, sum(quotas.values()))) as book:
            _render_all(job, book, workers, track)
            result = _write_tables(building, replace(source, samples=kept), job, book, codec_notes)
        (building / journal.NAME).unlink()
    return result


def _plan_for_folds(
    source: Manifest, quotas: Mapping[str, int], settings: AugmentParams
) -> tuple[dict[str, int], Manifest]:
    """Return as many new images as serve all folds, and note how many each fold trains on."""
    by_fold = plan.fold_quotas(source.samples, settings.target, settings.classes)
    lengths = plan.plan_lengths(
        source.samples, quotas, by_fold, draw=settings.draw, seed=settings.seed
    )
    noted = {NEW: {"all": dict(quotas), "folds": by_fold}}
    return lengths, replace(source, notes={**source.notes, **noted})


def write_original(
    folder: Path,
    output: Path,
    track: progress.Track = progress.silent,
    reading: ReadParams = BY_NAME,
) -> Manifest:
    """Write the arm "original": a manifest that points to the originals, and an empty plan."""
    source = originals.load_originals(folder, output, track, reading=reading)
    with files.new_folder(output, plan.TABLE) as building:
        kept = originals.link_originals(source, folder, output)
        manifest = Manifest(source.classes, kept, _notes(source))
        plan.write_plan(building, ())
        write_manifest(building, manifest, (plan.TABLE,))
    return manifest


def _notes(source: Manifest) -> dict[str, Any]:
    """Return the notes on how a folder was read, and on its files that are not used."""
    return {
        key: value
        for key, value in source.notes.items()
        if key in ("read", "rejected", "bits", NEW)
    }


def describe_summary(result: AugmentationResult) -> list[str]:
    """Return a line for each class, for a person to read."""
    summary, lines = result.summary, []
    for name, count in result.counts.items():
        new = summary.new[name]
        line = f"{name}: {count - new} originals + {new} new = {count}"
        if new:
            copies, identical = summary.copies[name], summary.identical[name]
            numbers = " to ".join(str(n) for n in sorted({copies["fewest"], copies["most"]}))
            line += f"; copies of each original: {numbers}"
            if identical:
                line += f"; {identical} equal to their original ({100 * identical / new:.0f}%)"
        else:
            line += " (large enough already)"
        lines.append(line)
    for name, count in result.trained.items():
        if summary.new[name]:
            lines.append(
                f"{name}: all images are trained on with {count} of them; without a fold the "
                "first ones of those originals that are left reach the target"
            )
    if not any(summary.new.values()):
        lines.append("every class has as many images as its target: no new images")
    return lines


# --- new images -------------------------------------------------------------------------------


def _journal_key(parts: Iterable[object]) -> str:
    """Return a sha256 of all that the plan and the bytes depend on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _render_all(job: RenderJob, book: Journal, workers: int, track: progress.Track) -> None:
    """Render the units that the journal lacks, or whose files are not as it says."""
    finished = book.load(job.unit_positions, partial(batches.is_intact, job))
    todo = [unit for unit in range(len(job.units)) if unit not in finished]
    rendered = sandboxed_map(partial(batches.render_unit, job), todo, workers)
    for unit, entries in zip(todo, track(rendered, "augment", len(todo)), strict=True):
        if isinstance(entries, Stopped):
            first = samples.sample_name(job.folder, job.unit_batches(unit)[0].parent)
            raise InputError(
                f"{first}, or one rendered with it: {entries.reason}; remove the file, or what is "
                f"named from the policy"
            )
        book.add(unit, job.unit_positions(unit), entries)


# --- tables -----------------------------------------------------------------------------------


def _write_tables(
    building: Path, kept: Manifest, job: RenderJob, book: Journal, codec_notes: Mapping[str, Any]
) -> AugmentationResult:
    """Write plan.csv and the manifest of originals and new images, row by row."""
    counter, tally, gallery = _Counter(), Tally(), _Gallery()
    taken = {sample.path for sample in kept.samples}
    with (
        files.csv_table(building / plan.TABLE, plan.COLUMNS) as add_row,
        files.csv_table(building / TABLE, kept.columns) as add_sample,
    ):
        for sample in kept.samples:
            add_sample(row_fields(sample, weighted=kept.weighted))
        for parent, path, entry, ident in _new_images(kept, job, book):
            if path in taken:
                raise InputError(f"{path}: an original has the name of a new image; rename it")
            drawn = (entry.transform, entry.params, entry.seed)
            add_row((parent.id, parent.label, entry.number, *drawn))
            inherited = (parent.label, parent.split, parent.group, parent.id)
            weight = [repr(parent.weight)] * kept.weighted
            add_sample((ident, path, *inherited, *drawn, *weight, *map(str, parent.folds)))
            counter.add(parent, entry)
            tally.add(parent, ident, path, entry)
            gallery.add(parent, ident, path, entry)
    summary = counter.summary(kept)
    notes = {**_notes(kept), "codec": codec_notes, "summary": asdict(summary)}
    write_sidecar(building, kept.classes, notes, (TABLE, plan.TABLE))
    counts = {name: number + summary.new[name] for name, number in kept.counts().items()}
    rejected, read = kept.notes.get("rejected", ()), kept.notes.get("read", "")
    report, shown = tally.report(), gallery.manifest(kept)
    trained = kept.notes[NEW]["all"] if NEW in kept.notes else {}
    return AugmentationResult(counts, summary, report, shown, rejected, read, trained)


def _new_images(
    kept: Manifest, job: RenderJob, book: Journal
) -> Iterator[tuple[Sample, str, JournalEntry, str]]:
    """Yield for each row of the plan the parent, and the new image's path, entry and id.

    The ids are those that `manifest.unique_ids` gives, but the originals keep theirs.
    """
    seen = Counter(content_hash(sample) for sample in kept.samples)
    looks = defaultdict[str, list[int]](list)
    for position, index in enumerate(job.batch_indices()):
        batch, entry = job.batches[index], book.entry(position)
        if entry.look is not None:
            repeated = similarity.repeats_one(entry.look, looks[batch.parent.id])
            entry = entry._replace(near_duplicate=repeated)
        seen[entry.digest] += 1
        while (ident := content_id(entry.digest, seen[entry.digest])) in kept.by_id:
            seen[entry.digest] += 1
        yield kept.by_id[batch.parent.id], job.image_path(batch, entry.number), entry, ident


class _Gallery:
    """The families that a contact sheet may show: the first few of each class."""

    def __init__(self) -> None:
        self.families: dict[str, list[Sample]] = {}
        self._parents: Counter[str] = Counter()

    def add(self, parent: Sample, ident: str, path: str, entry: JournalEntry) -> None:
        if parent.id not in self.families and self._parents[parent.label] < contact_sheet.PARENTS:
            self._parents[parent.label] += 1
            self.families[parent.id] = []
        family = self.families.get(parent.id)
        if family is not None and len(family) < contact_sheet.CHILDREN:
            family.append(batches.derived_sample(parent, ident, path, entry))

    def manifest(self, kept: Manifest) -> Manifest:
        """Return parents, then children, in the order of the whole manifest."""
        parents = [kept.by_id[parent] for parent in self.families]
        children = [child for family in self.families.values() for child in family]
        return Manifest(kept.classes, (*parents, *children))


@dataclass
class _Counter:
    """Counts of new images, for the summary."""

    copies: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    identical: Counter[str] = field(default_factory=Counter)
    transforms: Counter[str] = field(default_factory=Counter)

    def add(self, parent: Sample, entry: JournalEntry) -> None:
        self.copies[parent.id] += 1
        self.new[parent.label] += 1
        self.identical[parent.label] += entry.identical
        self.transforms[entry.transform] += 1

    def summary(self, kept: Manifest) -> AugmentationSummary:
        """Return the summary; `kept` has the originals."""
        copies = {n: [self.copies[s.id] for s in kept.samples if s.label == n] for n in self.new}
        return AugmentationSummary(
            new={name: self.new[name] for name in kept.classes},
            identical={name: self.identical[name] for name in kept.classes},
            copies={
                name: {"fewest": min(numbers), "most": max(numbers)}
                for name, numbers in sorted(copies.items())
            },
            transforms=dict(sorted(self.transforms.items())),
        )


def _codec_notes(file_format: str, size: int | None, policy: Policy) -> dict[str, Any]:
    """Return what the bytes depend on besides the plan."""
    return {
        "format": file_format,
        **images.ENCODER_SETTINGS[file_format],
        "size": size,
        **images.encoder_versions(file_format),
        **parsing.policy_versions(policy),
    }
