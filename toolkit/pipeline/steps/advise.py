"""`toolkit advise`, and `toolkit.advise`."""

import functools
import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.checks.audit import run_checks
from toolkit.checks.findings import Audit, settle_findings
from toolkit.checks.params import AuditParams
from toolkit.datasets import folders, layouts, split
from toolkit.datasets.folds import assign_folds
from toolkit.datasets.local import open_images
from toolkit.datasets.params import ReadParams
from toolkit.datasets.tables.decisions import follow_decisions, read_decision_table
from toolkit.errors import InputError, require_package
from toolkit.evaluation import advice, remedies
from toolkit.evaluation.advice import Advice
from toolkit.evaluation.remedies import HeldOutImages
from toolkit.io import files, images, inside, manifest, parallel
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.schema import PositiveNumber, build, check
from toolkit.metrics.arrays import Labels
from toolkit.metrics.params import MARGIN
from toolkit.pipeline import trained
from toolkit.pipeline.candidates import (
    Candidate,
    choose_networks,
    compare_rounds,
    head_candidate,
    plan_from_scratch,
)
from toolkit.pipeline.steps.augment import augment
from toolkit.pipeline.timing import TimeBudget
from toolkit.pipeline.trained import TrainableImages
from toolkit.progress import Track, silent
from toolkit.reporting.advice import advice_page
from toolkit.training import pretrained
from toolkit.training.dataset import LabeledFolder, decode_samples, load_tensors
from toolkit.training.pretrained import backbones, frozen
from toolkit.training.pretrained.features import Embedder, embed_folder, embedding_seconds
from toolkit.training.pretrained.heads import TrainingSet
from toolkit.training.pretrained.learning import learning_curve

POLICIES = {advice.PHOTO: "affine_photo", advice.PUBLISHED: "homework"}
LARGEST_GROWTH = 6
"""A class grows at most to so many times its images: 60 become 360, as published."""
LEAST = 2
MINUTES = 10
"""For networks from scratch, where the pretrained one is not there and no time is named."""


def advise(
    photos: Path | str,
    *,
    rare: str | None = None,
    backbone: str | None = None,
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
    and without class weights, a chosen threshold, plain copies, and new images. Where no backbone
    is named and the weights of the usual one are not installed, `say` is told so, and networks from
    scratch take its place, within MINUTES unless `max_minutes` is given. `rare` is the class that
    matters, else the one with the fewest images. Of a class with more than `most` images so
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
    scratch = backbone is None and not pretrained.has_weights()
    without = [_without_weights()] if scratch else []
    for line in without:
        say(line)
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
    for note in notes:
        say(note)
    folds = min(folds, fewest_groups(tested.samples))
    rng, further = np.random.default_rng(seed), np.random.default_rng([seed, repeats])
    divide = _division(tested, folds)
    about = _held_out(tested, rare, [divide(rng) for _ in range(repeats)])
    question = _Question(tested, about, Path(work), budget, seed, threads, processes, track)
    trial = (
        _from_scratch(question, size)
        if scratch
        else _with_features(question, backbone or backbones.DEFAULT, size, rng)
    )
    tried, comparison = compare_rounds(
        replace(about, folds=about.folds[: trial.repeats]),
        trial.candidates,
        trial.slow,
        lambda: divide(further),
        trial.budget,
        {"declared": trial.declared, "control": advice.COPIES, "margin": margin, "seed": seed},
    )
    found = Advice(
        folder=files.resolve(folder).name,
        comparison=comparison,
        counts=tested.table.counts(),
        backbone=trial.backbone,
        size=trial.size,
        folds=folds,
        repeats=len(tried.folds),
        learning=remedies.extend_curve(trial.learning()),
        notes=(*without, *notes),
        seconds=time.process_time() - started,
        network=trial.network,
    )
    if html:
        files.write_file(Path(html), advice_page(found, audited, tested.table, folder))
    return found


def _without_weights() -> str:
    """Say what is done where the pretrained network's weights are missing, and what it costs."""
    return f"{pretrained.missing_weights()}. Networks are trained from scratch: {pretrained.COST}"


def _division(tested: LabeledFolder, folds: int) -> Callable[[np.random.Generator], Labels]:
    """Return what divides the images into so many folds, the groups whole."""
    labels = [sample.label for sample in tested.samples]
    groups = [sample.group for sample in tested.samples]
    return lambda rng: assign_folds(labels, groups, folds, rng)


def _held_out(tested: LabeledFolder, rare: str | None, folds: Sequence[Labels]) -> HeldOutImages:
    """Return the images to test. Raises InputError for a `rare` class that is none."""
    counts, groups = tested.table.counts(), [sample.group for sample in tested.samples]
    rare = rare or min(counts, key=lambda name: (counts[name], name))
    if rare not in counts:
        raise InputError(f"rare must be one of {list(counts)}, got {rare!r}")
    return HeldOutImages(
        tuple(sample.path for sample in tested.samples),
        tested.classes,
        tested.labels.numpy(),
        tuple(folds),
        rare,
        np.unique(groups, return_inverse=True)[1] if len({*groups}) < len(groups) else None,
    )


# --- trials -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Question:
    """The images to try remedies on, and with what: see `advise`."""

    tested: LabeledFolder
    about: HeldOutImages
    work: Path
    budget: TimeBudget
    seed: int
    threads: int
    workers: int
    track: Track

    @property
    def goal(self) -> dict[str, int]:
        """The images that each class is filled up to, by copies or new ones."""
        counts = self.tested.table.counts()
        most = max(counts.values())
        return {name: min(most, LARGEST_GROWTH * n) for name, n in counts.items()}

    @property
    def grows(self) -> bool:
        """Whether a class is filled up at all."""
        return self.goal != self.tested.table.counts()

    def new_images(self, policy: str, size: int) -> LabeledFolder:
        """Make new images up to the goal; see `_new_images`."""
        return _new_images(
            self.tested,
            self.goal,
            policy,
            size,
            work=self.work,
            workers=self.workers,
            track=self.track,
        )

    def say_expected(self, repeats: int, *, scratch: bool = False) -> None:
        """Say what difference so many images will show."""
        counts, rare = self.tested.table.counts(), self.about.rare
        self.budget.say(advice.expected_sentence(counts, rare, repeats, scratch=scratch))


@dataclass(frozen=True, eq=False)
class _Trial:
    """Remedies to compare in so many divisions into folds, and what is said about them.

    See `compare_rounds` for the candidates, and Advice for the rest. `learning` gives the learning
    curve; `budget` is for more divisions.
    """

    candidates: Sequence[Candidate]
    slow: Callable[[], Sequence[Candidate]]
    declared: str
    size: int
    repeats: int
    budget: TimeBudget
    backbone: str | None = None
    network: str = ""
    learning: Callable[[], Mapping[int, float]] = dict


def _with_features(
    question: _Question, backbone: str, size: int | None, rng: np.random.Generator
) -> _Trial:
    """Compute the features of a pretrained network, on which remedies are classifiers."""
    tested, about, track = question.tested, question.about, question.track
    budget, goal, seed = question.budget, question.goal, question.seed
    network = backbones.load_backbone(backbone)
    size = size or network.size
    every = len(tested.samples) + len(POLICIES) * (sum(goal.values()) - len(tested.samples))
    kept, embedder = question.work / "features", Embedder(network, size, question.threads)
    seconds = embedding_seconds(tested, embedder, kept, every)
    for note in _time_notes(seconds, every, kept):
        budget.say(note)
    question.say_expected(len(about.folds))

    embed = functools.partial(embed_folder, embedder=embedder, cache=kept, track=track)
    weights = frozen.as_floats(tested.weights)
    plain = TrainingSet(embed(tested), about.labels, len(tested.classes), sample_weights=weights)
    balanced = replace(plain, balanced=True)
    candidates = [
        head_candidate(advice.NOTHING, plain, track),
        head_candidate(advice.RECOMMENDED, balanced, track, tuned=True),
        head_candidate(advice.COPIES, replace(plain, copies=list(goal.values())), track),
    ]
    made = dict[str, LabeledFolder]()
    for name, policy in POLICIES.items() if question.grows else ():
        begun = time.process_time()
        new = made[name] = question.new_images(policy, size)
        rows = np.array([sample.derived for sample in new.samples])
        data = replace(plain, new=embed(new)[rows], parents=trained.parent_rows(new)[rows])
        seconds = time.process_time() - begun
        candidates.append(head_candidate(name, data, track, seconds=seconds))

    def networks() -> list[Candidate]:
        if not budget.limited:
            return []
        pixels = load_tensors(tested, trained.SIZE, track)
        wanted, fits = list(goal.values()), sum(len(np.unique(one)) for one in about.folds)
        some = {advice.TRAINED: TrainableImages(pixels, about.labels, wanted)}
        if new := made.get(advice.PHOTO):
            some[advice.TRAINED_NEW] = trained.with_new_images(pixels, new, wanted, track)
        return choose_networks(some, fits, budget, seed, track)

    of_rare = tested.classes.index(about.rare)
    return _Trial(
        candidates,
        networks,
        advice.RECOMMENDED,
        size,
        len(about.folds),
        budget,
        backbone=backbone,
        learning=lambda: learning_curve(balanced, about.folds, of_rare, rng),
    )


def _from_scratch(question: _Question, size: int | None) -> _Trial:
    """Plan networks from random weights, within MINUTES unless there is a limit."""
    tested, about, track = question.tested, question.about, question.track
    size, budget = size or trained.SIZE, question.budget
    if not budget.limited:
        budget = replace(budget, seconds=60 * MINUTES)
    counts = list(tested.table.counts().values())
    pixels = load_tensors(tested, size, track)
    plain = TrainableImages(pixels, about.labels, counts)
    images_of = {
        advice.NOTHING: plain,
        advice.BALANCED: replace(plain, wanted=[max(counts)] * len(counts), balanced=True),
    }
    if question.grows:
        wanted = list(question.goal.values())
        new = question.new_images(POLICIES[advice.PHOTO], size)
        images_of |= {
            advice.COPIES: replace(plain, wanted=wanted),
            advice.PHOTO: trained.with_new_images(pixels, new, wanted, track),
        }
    folds, repeats = len(np.unique(about.folds[0])), len(about.folds)
    plan = plan_from_scratch(images_of, folds, repeats, budget, question.seed, track)
    question.say_expected(plan.repeats, scratch=True)
    return _Trial(
        plan.first,
        lambda: plan.slow,
        advice.BALANCED,
        size,
        plan.repeats,
        budget if budget.until_sure else question.budget,
        network=plan.network,
    )


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


# --- new images -------------------------------------------------------------------------------


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
