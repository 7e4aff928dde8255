"""`toolkit advise`, and `toolkit.advise`."""

import contextlib
import functools
import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from toolkit.checks.audit import run_checks
from toolkit.checks.findings import Audit, settle_findings
from toolkit.checks.params import AuditParams
from toolkit.datasets import folders, layouts, split
from toolkit.datasets.folds import assign_folds
from toolkit.datasets.local import open_images
from toolkit.datasets.params import ReadParams
from toolkit.datasets.tables.decisions import follow_decisions, read_decision_table
from toolkit.errors import InputError, require_package
from toolkit.evaluation import advice, judgment, remedies
from toolkit.evaluation.advice import Advice
from toolkit.evaluation.remedies import (
    HeldOutImages,
    HeldOutScores,
    RemedyComparison,
    compare_remedies,
)
from toolkit.io import files, images, inside, manifest, parallel
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.schema import PositiveNumber, build, check
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.params import MARGIN
from toolkit.pipeline import trained
from toolkit.pipeline.candidates import (
    Candidate,
    choose_networks,
    cross_fit_candidates,
    plan_rounds,
)
from toolkit.pipeline.steps.augment import augment
from toolkit.pipeline.timing import TimeBudget, TimeUpError
from toolkit.pipeline.trained import TrainableImages
from toolkit.progress import Track, silent
from toolkit.reporting.advice import advice_page
from toolkit.training.dataset import LabeledFolder, decode_samples, load_tensors
from toolkit.training.pretrained import backbones, frozen, heads
from toolkit.training.pretrained.features import (
    Embedder,
    embed_folder,
    embedding_seconds,
)
from toolkit.training.pretrained.heads import TrainingSet
from toolkit.training.pretrained.learning import learning_curve

POLICIES = {advice.PHOTO: "affine_photo", advice.PUBLISHED: "homework"}
LARGEST_GROWTH = 6
"""A class grows at most to so many times its images: 60 become 360, as published."""
LEAST = 2


def advise(
    photos: Path | str,
    *,
    rare: str | None = None,
    backbone: str = backbones.DEFAULT,
    size: int | None = None,
    folds: int = 5,
    repeats: int = 2,
    most: int = 2000,
    margin: float = MARGIN,
    max_minutes: float | None = None,
    until_sure: bool = False,
    seed: int = 0,
    threads: int = 2,
    workers: int = 0,
    html: Path | str | None = None,
    decisions: Path | str | None = None,
    work: Path | str = Path(".toolkit"),
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Advice:
    """Find out which remedy for imbalance helps on a folder of labeled photos.

    `photos` is a folder, archive or address, read as the keys of the section `fetch` in `reading`
    say. It is audited: damaged files, and all but one of a set of duplicates, are left out. A
    frozen `backbone` (see `pretrained.backbones`) turns the images, resized to `size` pixels, into
    features, and classifiers on these are cross-fitted in so many `folds`, `repeats` times: with
    and without class weights, a chosen threshold, plain copies, and new images. `rare` is the class
    that matters, else the one with the fewest images. Of a class with more than `most` images so
    many are drawn with `seed`. Differences in G-mean below `margin` are practically equal. With
    `max_minutes` so much time is spent: on networks trained on the images, and on more repeats, as
    many as `say` announces. `until_sure` adds repeats until the declared comparison is settled,
    with no more false alarms for looking several times (see `evaluation.sequential`). `html` is a
    page to write, with photos. `decisions` is a table of what a person decided about single
    photos. Features, new images and measurements are kept in `work`. `threads` compute features,
    `workers` processes do the rest (0: one per core). Raises InputError for a folder with fewer
    than two classes or too few images, weights that are not there, and decisions that do nothing.
    """
    require_package("albumentations")  # draws the transforms of affine_photo
    files.check_output(html, "--html", file=True)
    check(PositiveNumber | None, max_minutes, "--max-minutes")
    started = time.process_time()
    budget = TimeBudget(math.inf if max_minutes is None else 60 * max_minutes, until_sure, say)
    processes = workers or parallel.cores()
    how, to_follow = build(ReadParams, reading, "reading"), read_decision_table(decisions)
    folder = open_images(photos, Path(work), track, say, links=how.follow_links).folder
    table = folders.scan(folder, track, processes, settings=how)
    decided = follow_decisions(table, to_follow)
    table = decided.manifest
    if "read" in table.notes:
        say(f"{folder}: {table.notes['read']}")
    tested, audited, notes = usable_images(
        table,
        folder,
        Path(work),
        most=most,
        seed=seed,
        workers=processes,
        track=track,
        settled=decided.settled,
    )
    counts = tested.table.counts()
    rare = rare or min(counts, key=lambda name: (counts[name], name))
    if rare not in counts:
        raise InputError(f"rare must be one of {list(counts)}, got {rare!r}")
    folds = min(folds, fewest_groups(tested.samples))
    network = backbones.load_backbone(backbone)
    size = size or network.size
    rng = np.random.default_rng(seed)
    groups, names = zip(*((sample.group, sample.label) for sample in tested.samples), strict=True)
    about = HeldOutImages(
        tuple(s.path for s in tested.samples),
        tested.classes,
        tested.labels.numpy(),
        tuple(assign_folds(names, groups, folds, rng) for _ in range(repeats)),
        rare,
        np.unique(groups, return_inverse=True)[1] if len({*groups}) < len(groups) else None,
    )
    goal = {name: min(max(counts.values()), LARGEST_GROWTH * n) for name, n in counts.items()}
    every = len(tested.samples) + len(POLICIES) * (sum(goal.values()) - sum(counts.values()))
    kept = Path(work) / "features"
    embedder = Embedder(network, size, threads)
    seconds = embedding_seconds(tested, embedder, kept, every)
    expected = advice.expected_sentence(counts, rare, repeats)
    for note in (*notes, *_time_notes(seconds, every, kept), expected):
        say(note)

    embed = functools.partial(embed_folder, embedder=embedder, cache=kept, track=track)
    plain = TrainingSet(
        embed(tested),
        about.labels,
        len(tested.classes),
        sample_weights=frozen.as_floats(tested.weights),
    )
    candidates = _heads(plain, goal, track)
    made = dict[str, LabeledFolder]()
    for name, policy in POLICIES.items() if goal != counts else ():
        begun = time.process_time()
        new = made[name] = _new_images(
            tested, goal, policy, size, work=Path(work), workers=processes, track=track
        )
        rows = np.array([sample.derived for sample in new.samples])
        data = replace(plain, new=embed(new)[rows], parents=_parents(new)[rows])
        candidates.append(_head(name, data, track, seconds=time.process_time() - begun))

    def networks(fits: int) -> list[Candidate]:
        some = _trainable(tested, made.get(advice.PHOTO), list(goal.values()), track)
        return choose_networks(some, fits, budget, seed, track)

    further = np.random.default_rng([seed, repeats])
    tried, comparison = _compare_rounds(
        about,
        candidates,
        networks,
        lambda: assign_folds(names, groups, folds, further),
        budget,
        {"margin": margin, "seed": seed},
    )
    of_rare = tested.classes.index(rare)
    measured = learning_curve(replace(plain, balanced=True), about.folds, of_rare, rng)
    found = Advice(
        folder=files.resolve(folder).name,
        comparison=comparison,
        counts=counts,
        backbone=backbone,
        size=size,
        folds=folds,
        repeats=len(tried.folds),
        learning=remedies.extend_curve(measured),
        notes=tuple(notes),
        seconds=time.process_time() - started,
    )
    if html:
        files.write_file(Path(html), advice_page(found, audited, tested.table, folder))
    return found


def _time_notes(seconds: float, images: int, kept: Path) -> list[str]:
    """Say how long features take, unless they are there already."""
    line = f"about {seconds:.0f} s for the features of {images} images, which are kept in {kept}"
    return [line] if seconds else []


# --- images -----------------------------------------------------------------------------------


def usable_images(
    table: Manifest,
    folder: Path,
    work: Path,
    *,
    most: int,
    seed: int,
    workers: int,
    track: Track = silent,
    settled: Collection[str] = (),
) -> tuple[LabeledFolder, Audit, list[str]]:
    """Return the images to test, each picture once, the audit, and what is left out in words.

    The audit leaves out none of those `settled` by a person (see `findings.settle_findings`).
    """
    splits = sorted({sample.split for sample in table.samples})
    if len(splits) > 1:
        raise InputError(
            f"{folder}: holds the splits {', '.join(splits)}, and learns from one; "
            f"{folders.suggest_splits(table, folder)}"
        )
    flagged = run_checks(table, folder, AuditParams(), work, processes=workers, track=track)
    audited = settle_findings(flagged, settled)
    rejected = table.notes.get("rejected", ())
    notes = [f"{len(rejected)} files are not used"] if rejected else []
    readable = [sample for sample in table.samples if sample.id not in audited.dropped]
    if len(readable) < len(table.samples):
        notes.append(f"{len(table.samples) - len(readable)} damaged or unusable images")
    kept = _one_each(readable, audited)
    if len(kept) < len(readable):
        notes.append(f"{len(readable) - len(kept)} duplicates of other images")
    drawn = _at_most(kept, most, np.random.default_rng(seed))
    if len(drawn) < len(kept):
        notes.append(f"{len(kept) - len(drawn)} images of classes with more than {most}")
    counts = Counter(sample.label for sample in drawn)
    if len(counts) < LEAST or min(counts.values()) < LEAST:
        raise InputError(
            f"{folder}: needs two classes with two usable images each, got {dict(counts)}; "
            f"{layouts.LAYOUT}"
        )
    sentence = [f"left out: {', '.join(notes)}"] if notes else []
    chosen = Manifest(tuple(sorted(counts)), tuple(drawn))
    return LabeledFolder(folder, chosen), audited, sentence


def _one_each(samples: Sequence[Sample], audited: Audit) -> list[Sample]:
    """Return the first of each set of duplicates, and none of a set with several labels.

    Its group is that of all images which must stay in one fold: those of a patient and, where two
    patients have copies of one picture, those of both.
    """
    together = split.group_samples(samples, audited.grouped)
    group_of = {sample.id: group[0].id for group in together for sample in group}
    alone = [replace(sample, group="") for sample in samples]
    copies = split.group_samples(alone, audited.grouped)
    first = [group[0] for group in copies if len({sample.label for sample in group}) == 1]
    kept = [replace(sample, group=group_of[sample.id]) for sample in first]
    return sorted(kept, key=lambda sample: sample.path)


def fewest_groups(samples: Sequence[Sample]) -> int:
    """Return the number of groups of the class with the fewest.

    Raises InputError for a class of one group: nothing of it could be tested on others.
    """
    groups = Counter(label for label, _ in {(sample.label, sample.group) for sample in samples})
    name = min(groups, key=lambda label: (groups[label], label))
    if groups[name] < LEAST:
        raise InputError(
            f"class {name!r} has images of one group alone, so that nothing of it can be tested on "
            "another; add images, or leave the class out with --classes"
        )
    return groups[name]


def _at_most(samples: Sequence[Sample], most: int, rng: np.random.Generator) -> list[Sample]:
    kept: list[Sample] = []
    for label in sorted({sample.label for sample in samples}):
        own = [sample for sample in samples if sample.label == label]
        rows = np.sort(rng.permutation(len(own))[:most])
        kept += [own[row] for row in rows]
    return sorted(kept, key=lambda sample: sample.path)


# --- remedies ---------------------------------------------------------------------------------


def _heads(plain: TrainingSet, goal: Mapping[str, int], track: Track) -> list[Candidate]:
    """Return the classifiers on the features of the images alone, as candidates."""
    return [
        _head(advice.NOTHING, plain, track),
        _head(advice.RECOMMENDED, replace(plain, balanced=True), track, tuned=True),
        _head(advice.COPIES, replace(plain, copies=list(goal.values())), track),
    ]


def _head(
    name: str, data: TrainingSet, track: Track, *, tuned: bool = False, seconds: float = 0.0
) -> Candidate:
    """Return a classifier on the features as a candidate; `seconds` were spent to prepare it."""

    def fit(divisions: Sequence[Labels], _: int) -> tuple[list[Floats], float]:
        begun = time.process_time()
        scores = [heads.cross_fit(data, one) for one in track(divisions, name, len(divisions))]
        return scores, time.process_time() - begun

    return Candidate(name, fit, tuned, seconds)


def _in_order(held: Mapping[str, HeldOutScores]) -> list[HeldOutScores]:
    """Return the remedies by effort, a chosen threshold among them: the scores of doing nothing."""
    threshold = replace(held[advice.NOTHING], name=advice.THRESHOLD, tuned=True)
    every = {**held, advice.THRESHOLD: threshold}
    return [every[name] for name in advice.TITLES if name in every]


def _trainable(
    tested: LabeledFolder, new: LabeledFolder | None, wanted: Sequence[int], track: Track
) -> dict[str, TrainableImages]:
    """Decode the images for networks: alone and, where a class grows, with new ones."""
    size, labels = trained.RECIPE.size or tested.originals, tested.labels.numpy()
    plain = load_tensors(tested, size, track)
    none = np.empty(0, dtype=np.int64)
    found = {advice.TRAINED: TrainableImages(plain, labels, wanted, none)}
    if new is not None:
        chosen = [row for row, sample in enumerate(new.samples) if sample.derived]
        ours = {name: number for number, name in enumerate(tested.classes)}
        of_new = [ours[new.samples[row].label] for row in chosen]
        parents, weights = _parents(new)[chosen], plain.weights
        both = replace(
            plain,
            images=torch.cat([plain.images, load_tensors(new, size, track).images[chosen]]),
            labels=torch.cat([plain.labels, torch.tensor(of_new, dtype=torch.int64)]),
            weights=None if weights is None else torch.cat([weights, weights[parents]]),
        )
        found[advice.TRAINED_NEW] = TrainableImages(both, labels, wanted, parents)
    return found


def _compare_rounds(
    images: HeldOutImages,
    candidates: Sequence[Candidate],
    networks: Callable[[int], Sequence[Candidate]],
    divide: Callable[[], Labels],
    budget: TimeBudget,
    settings: Mapping[str, Any],
) -> tuple[HeldOutImages, RemedyComparison]:
    """Compare the candidates, and with a budget networks too, until it is spent.

    `networks` takes how often each is trained, `divide` gives one more division into folds,
    `settings` are those of `compare_remedies`. Returns the images with all divisions, too.
    """
    begun, repeats = time.monotonic(), len(images.folds)
    held = cross_fit_candidates(candidates, images.folds, {})
    if budget.limited:
        slow = networks(sum(len(np.unique(one)) for one in images.folds))
        try:
            held = cross_fit_candidates(slow, images.folds, held)
            candidates = [*candidates, *slow]
        except TimeUpError:
            budget.say("the time is up: networks are left out; raise --max-minutes")
    each = (time.monotonic() - begun) / repeats
    rounds = plan_rounds(repeats, each, budget)
    for count, following in zip(rounds, (*rounds[1:], rounds[-1]), strict=True):
        added = [divide() for _ in range(count - len(images.folds))]
        larger = replace(images, folds=(*images.folds, *added))
        with contextlib.suppress(TimeUpError):  # then the divisions before are compared
            held, images = cross_fit_candidates(candidates, larger.folds, held), larger
        comparison = compare_remedies(
            images,
            _in_order(held),
            advice.RECOMMENDED,
            advice.COPIES,
            looks=rounds if len(rounds) > 1 else (),
            **settings,
        )
        if comparison[advice.RECOMMENDED].verdict != judgment.UNKNOWN:
            break
        if len(images.folds) < count or not budget.affords(each * (following - count)):
            budget.say(f"the time is up after {len(images.folds)} divisions into folds")
            break
    return images, comparison


def _new_images(
    tested: LabeledFolder,
    goal: Mapping[str, int],
    policy: str,
    size: int,
    *,
    work: Path,
    workers: int,
    track: Track,
) -> LabeledFolder:
    """Make new images up to `goal` of each class, in a folder of `work`.

    They are made of copies of the class's images at `size` pixels, which are named for their row.
    """
    counts = tested.table.counts()
    growing = {name: goal[name] for name, n in counts.items() if goal[name] > n}
    decides = f"{tested.sha256} {sorted(growing.items())} {size}"
    place = work / "advise" / hashlib.sha256(decides.encode()).hexdigest()[:32]
    originals = place / "originals"
    if not originals.is_dir():
        with files.new_folder(originals) as building:
            for name in growing:
                inside.make_folder(building, name)
            rows = [row for row, sample in enumerate(tested.samples) if sample.label in growing]
            samples = [tested.samples[row] for row in rows]
            decoded = track(decode_samples(tested, samples, size, workers), "resize", len(rows))
            for row, sample, pixels in zip(rows, samples, decoded, strict=True):
                path = f"{sample.label}/{row}.png"
                inside.write_inside(building, path, images.encode_png(pixels))
    new = place / policy
    augment(
        originals, new, target=growing, policy=policy, only_new=True, workers=workers, track=track
    )
    return LabeledFolder(new, manifest.read_manifest(new))


def _parents(new: LabeledFolder) -> Labels:
    """Return for each image of `_new_images` the row of what it was made of."""
    originals = [new.table.by_id[sample.parent or sample.id] for sample in new.samples]
    return np.array([int(PurePosixPath(original.path).stem) for original in originals])
