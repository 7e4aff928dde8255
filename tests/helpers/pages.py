"""A tiny project for the page: names that look like HTML, three arms, two recipes, two seeds."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.augmentation import contact_sheet
from toolkit.checks import thumbnails
from toolkit.checks.findings import Audit, CheckOutcome, Finding
from toolkit.evaluation import advice, remedies
from toolkit.evaluation.advice import Advice
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.remedies import HeldOutImages, HeldOutScores
from toolkit.evaluation.results import HISTORY, RunResult
from toolkit.io import files, images, manifest
from toolkit.io.manifest import Manifest, Sample
from toolkit.metrics import mistakes
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.predictions import Predictions
from toolkit.reporting.advice import advice_page as render_advice
from toolkit.reporting.mistakes import write_mistakes
from toolkit.reporting.page import PageInputs

NASTY = "<img src=x onerror=alert(1)>"
CLASSES = (NASTY, "a$b_{$猫")
"""The first is the common class, the second the rare one."""
ARMS, RECIPES, SEEDS = ("original", "augmented", "duplicated"), ("net", "<b>deep"), (0, 1)
SKILL = {"original": 0.4, "augmented": 1.2, "duplicated": 0.6}
DUPLICATES = ("p0", "p1")
AUDIT = Audit(
    {"all": {NASTY: 30, CLASSES[1]: 15}},
    (
        Finding("unreadable", "drop", NASTY, (f"{NASTY}.jpg",) * 7),
        Finding(
            "near_duplicates", "group", f"two {NASTY}", (f"a/{NASTY}.jpg", "b.jpg"), DUPLICATES
        ),
        Finding("blurred", "warn", "sharpness 0.01", ("b.jpg",), DUPLICATES[1:], (), 0.01),
        Finding("shortcuts", "warn", f"{NASTY} predicts the class", (), score=0.5),
    ),
    {
        "unreadable": CheckOutcome("damaged", "drop", None, None, 1),
        "near_duplicates": CheckOutcome(NASTY, "group", 0.95, 0.99, 2),
        "blurred": CheckOutcome("sharpness under 0.08", "warn", 0.08, 0.01, 1),
        "dark": CheckOutcome("dark", "warn", 0.25, 0.5, 0),
        "shortcuts": CheckOutcome("a property predicts the class", "warn", 0.2, 0.5, 1),
    },
)


def predictions(ids: tuple[str, ...], actual: tuple[str, ...], skill: float, seed: int):
    """Return the predictions of a classifier with some skill, drawn from a seed."""
    rare = np.array([name == CLASSES[1] for name in actual])
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-skill * (2 * rare - 1) - rng.normal(size=len(actual))))
    labels = tuple(CLASSES[int(s >= 0.5)] for s in score)
    return Predictions(CLASSES, ids, actual, labels, np.stack([1 - score, score], axis=1))


def history(seed: int = 0, epochs: int = 4):
    """Return falling losses and rising scores that differ with the seed."""
    falls = tuple(1 / (n + seed) for n in range(1, epochs + 1))
    rises = tuple(1 - value / 2 for value in falls)
    columns = dict.fromkeys(HISTORY, falls)
    return columns | {
        "epoch": tuple(range(1, epochs + 1)), "valid_accuracy": rises, "valid_gmean": rises,
    }  # fmt: skip


def result(arm="original", recipe="net", seed=0, *, ids=(), actual=(), valid=None) -> RunResult:
    """Return a run, by default on 20 images of the common class and 10 of the rare one."""
    actual = actual or (CLASSES[0],) * 20 + (CLASSES[1],) * 10
    ids = ids or tuple(f"i{n}" for n in range(len(actual)))
    predicted = predictions(ids, actual, SKILL.get(arm, 0), seed + 10 * len(arm) + len(recipe))
    tuned = {"threshold": 0.4, "threshold_gmean": 0.7, "temperature": 1.1, "calibrated_ece": 0.1}
    metrics = compute_metrics(predicted, CLASSES[1]) | (tuned if valid else {})
    return RunResult(arm, recipe, seed, metrics, predicted, CLASSES[1], history(seed), valid)


def split(folder: Path, counts: tuple[int, int], seed: int) -> Manifest:
    """Write images of smooth noise, <class number>/<number>.png, and their manifest."""
    rng = np.random.default_rng(seed)
    samples = []
    for number, (label, n) in enumerate(zip(CLASSES, counts, strict=True)):
        for k in range(n):
            coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            data = images.encode_png(images.resize(coarse, 32))
            path = f"{number}/{k:03d}.png"
            files.write_file(folder / path, data)
            samples.append(Sample(hashlib.sha256(data).hexdigest(), path, label, folder.name))
    table = Manifest(CLASSES, tuple(samples))
    manifest.write_manifest(folder, table)
    return table


def arm(folder: Path, train: Manifest, copies: int) -> None:
    """Write the manifest of an arm, with new images of the last original, and its sheet."""
    parent = train.samples[-1]
    paths = [f"../../prepared/train/{sample.path}" for sample in train.samples]
    old = [
        Sample(s.id, path, s.label, s.split) for s, path in zip(train.samples, paths, strict=True)
    ]
    data = images.encode_png(np.full((32, 32, 3), 90, np.uint8))
    ids = manifest.unique_ids([hashlib.sha256(data).hexdigest()] * copies)
    new = [
        Sample(i, f"n{k}.png", parent.label, "train", "", parent.id, "rotate", {"degrees": k})
        for k, i in enumerate(ids)
    ]
    for sample in new:
        files.write_file(folder / sample.path, data)
    table = Manifest(CLASSES, (*old, *new))
    manifest.write_manifest(folder, table)
    if new:
        contact_sheet.write_sheet(folder.with_name(f"{folder.name}.png"), table, folder)
        pairs = [(table.samples[0], new[0], NASTY)]
        changed = folder.with_name(f"{folder.name}-most-changed.png")
        contact_sheet.write_pairs(changed, pairs, folder)
        part = {"new": copies, "identical": 1, "near_duplicates": 2, "change": 12.34}
        summary = json.dumps({**part, "transforms": {NASTY: part}})
        files.write_file(folder.with_name(f"{folder.name}-summary.json"), summary)


def explained(run: RunResult, test: Manifest):
    """Return what `evaluate` keeps of the mistakes of a run."""
    heat = np.linspace(0, 1, 32 * 32, dtype=np.float32).reshape(32, 32)
    gray = np.full((32, 32, 3), 120, np.uint8)
    return [
        mistakes.ExplainedExample(choice, test.by_id[choice.id].path, gray, heat)
        for choice in mistakes.choose_examples(run.predictions, CLASSES[1])
    ]


def pictures() -> thumbnails.Thumbnails:
    """Return thumbnails of the two duplicates in AUDIT, one of them wide, the other tiny."""
    gray, rng = np.full((20, 96, 3), 150, np.uint8), np.random.default_rng(0)
    noise = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    rows = zip(DUPLICATES, CLASSES, ("train", ""), (gray, noise), strict=True)
    return {ident: thumbnails.Thumbnail(*of) for ident, *of in rows}


def inputs(folder: Path) -> PageInputs:
    """Write everything that the page reads into `folder`, and return its inputs."""
    train, valid, test = (
        split(folder / "prepared" / name, counts, seed)
        for seed, (name, counts) in enumerate(
            {"train": (12, 4), "valid": (10, 6), "test": (20, 10)}.items()
        )
    )
    for name, copies in zip(ARMS, (0, 6, 6), strict=True):
        arm(folder / "arms" / name, train, copies)
    ids, actual = ([getattr(s, name) for s in test.samples] for name in ("id", "label"))
    tuning = predictions(
        tuple(s.id for s in valid.samples), tuple(s.label for s in valid.samples), 1.0, 7
    )
    runs = [
        result(name, recipe, seed, ids=tuple(ids), actual=tuple(actual), valid=tuning)
        for recipe in RECIPES
        for name in ARMS
        for seed in SEEDS
    ]
    results = [replace(run, folder=folder / "runs" / run.key.place) for run in runs]
    for run in results:
        files.write_file(run.folder / "history.csv", "")
        write_mistakes(run.folder / "mistakes", explained(run, test))
    part = {"auc": 0.7, "low": 0.6, "high": 0.8}
    probe = {**part, "originals": 4, "new": 6, "by_transform": {NASTY: part}}
    files.write_file(folder / "probe" / "augmented.json", json.dumps(probe))
    unknown = {"auc": None, "low": None, "high": None, "by_transform": {}}
    files.write_file(folder / "probe" / "duplicated.json", json.dumps(unknown))
    thumbnails.write_thumbnails(folder / "audit", pictures())
    return PageInputs(
        compare_results(results, "original", "duplicated", resamples=200),
        results,
        audit=AUDIT,
        audited=folder / "audit",
        prepared=folder / "prepared",
        arms=folder / "arms",
        probes=folder / "probe",
        params=f"# {NASTY}",
    )


def advice_page(folder: Path) -> str:
    """Return the page of an advice on a split that is written to `folder`."""
    table = split(folder, (30, 15), 5)
    labels = np.array([CLASSES.index(sample.label) for sample in table.samples])
    folds = (np.arange(len(labels)) % 5,)
    ids = tuple(sample.path for sample in table.samples)
    about = HeldOutImages(ids, CLASSES, labels, folds, CLASSES[1])
    names = tuple(CLASSES[k] for k in labels)
    held_out = [
        HeldOutScores(name, (predictions(ids, names, skill, 0).required_scores("a page"),))
        for skill, name in enumerate(advice.TITLES)
    ]
    compared = remedies.compare_remedies(
        about, held_out, advice.RECOMMENDED, advice.COPIES, resamples=200
    )
    counts = {CLASSES[0]: 30, CLASSES[1]: 15}
    learning = {4: 0.6, 8: 0.7, 15: 0.8, 30: 0.85}
    found = Advice(NASTY, compared, counts, "net", 32, 5, 1, learning, (f"left out: {NASTY}",))
    return render_advice(found, AUDIT, table, folder)
