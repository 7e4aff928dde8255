"""Select, split, decode and resize: from raw images to three folders of PNG files of one size."""

import functools
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from toolkit import progress
from toolkit.datasets import params
from toolkit.datasets.folds import divide_samples
from toolkit.datasets.split import (
    SplitGroup,
    assign_splits,
    describe_cuts,
    fit_folds,
    group_samples,
    leave_out_unfit,
)
from toolkit.errors import InputError
from toolkit.io import files, images, inside, manifest, sandbox
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.samples import sample_name
from toolkit.io.text import describe_rejected

MARKER = f"train/{manifest.SIDECAR}"


@dataclass(frozen=True)
class Selection:
    """What an audit decides: ids of images to leave out, and groups of ids that share a split.

    `left_out` are all files that are not used, with a path and a reason each; `decided` counts the
    images that a person decided about, by kind.
    """

    drop: Collection[str] = ()
    groups: Sequence[Sequence[str]] = ()
    left_out: Sequence[Mapping[str, str]] = ()
    decided: Mapping[str, int] = field(default_factory=dict)


def write_splits(
    raw: Manifest,
    folder: Path,
    output: Path,
    settings: params.PrepareParams,
    *,
    selection: Selection = Selection(),
    limits: images.ImageLimits = images.LIMITS,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> dict[str, Manifest]:
    """Write `output`/{train,valid,test}: <class>/<id>.png of `settings.size`, and a manifest each.

    With folds, train has all images that the source does not have in test, with their folds; test
    lists them again, as each of them is tested, before those of the source.
    `folder` holds the files of `raw`. A new file's name begins with the id of its raw image.
    Notes of train, where there is something to note: "left_out" lists the files of the selection
    and the images in no split, with path and reason; "cut" says what the source's train gave to
    other splits, and which classes are left out because they cannot lie in every split;
    "decisions" counts those of the selection.
    Raises InputError for a file that has changed since `raw` was written, or that cannot be decoded
    within `limits`, and whenever `split.assign_splits` does.
    """
    kept = [sample for sample in raw.samples if sample.id not in selection.drop]
    everything = group_samples(kept, selection.groups)
    settings, fewer = fit_folds(group_samples(kept, ()), everything, settings)
    groups, unfit = leave_out_unfit(everything, raw.classes, settings)
    classes = tuple(name for name in raw.classes if name not in unfit)
    group_of = {sample.id: group[0].id for group in groups for sample in group}
    rng = np.random.default_rng(settings.seed)
    assigned = assign_splits(groups, classes, settings, rng)
    left_out = [
        *selection.left_out,
        *({"path": s.path, "reason": _unfit(s.label)} for s in kept if s.label in unfit),
        *_left_out(groups, assigned),
    ]
    told = {
        "left_out": left_out,
        "cut": [*fewer, *_say(unfit), *describe_cuts(assigned, settings)],
        "decisions": dict(selection.decided),
    }
    told = {key: value for key, value in told.items() if value}
    limits = limits.scaled(images.noted_bits(raw.notes))
    convert = functools.partial(_convert, folder, settings.size, limits)
    shown = {"size": settings.size} | ({"bits": limits.bits} if limits.bits else {})
    manifests = dict[str, Manifest]()
    with files.new_folder(output, MARKER) as building:
        for split, members in assigned.items():
            samples = [replace(s, split=split, group=group_of[s.id]) for s in members]
            samples.sort(key=_file_name)
            if split == "train" and isinstance(settings.split, params.ByFolds):
                samples = _divide(samples, raw.classes, settings.split, rng)
            encoded = sandbox.sandboxed_map(
                convert, samples, processes, seconds=limits.seconds, memory=limits.memory
            )
            tracked = track(encoded, f"prepare {split}", len(samples))
            written = _write(building / split, samples, _checked(tracked, folder, samples))
            notes = shown | (told if split == "train" else {})
            if split == "test" and isinstance(settings.split, params.ByFolds):
                written = _with_divided(manifests["train"].samples, written)
            manifests[split] = Manifest(classes, written, notes)
            manifest.write_manifest(building / split, manifests[split])
    return manifests


def _divide(
    samples: Sequence[Sample],
    classes: Sequence[str],
    split: params.ByFolds,
    rng: np.random.Generator,
) -> list[Sample]:
    if lacking := sorted({*classes} - {sample.label for sample in samples}):
        raise InputError(
            f"prepare.split.folds: class {lacking[0]!r} has no image outside of test, none to "
            "train on; add images, or name it in fetch.classes.leave_out"
        )
    try:
        return divide_samples(samples, split.folds, split.repeats, rng)
    except InputError as error:
        raise InputError(f"prepare.split.folds: {error}") from error


def _with_divided(divided: Sequence[Sample], test: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return links to the images that are divided into folds, and the source's test images."""
    links = [replace(s, split="test", path=f"../train/{s.path}") for s in divided]
    idents = manifest.unique_ids(manifest.content_hash(s) for s in (*divided, *test))
    own = zip(test, idents[len(divided) :], strict=True)
    return (*links, *(replace(sample, id=ident) for sample, ident in own))


def _unfit(label: str) -> str:
    return f"its class, {label!r}, cannot lie in every split"


def _say(unfit: Mapping[str, str]) -> list[str]:
    """Say which classes are left out, and why."""
    return [
        f"class {name!r} is left out, for no split may lack a class: {why}, copies and near-"
        f"duplicates counted as one; add images of it, or give it to another class by fetch.classes"
        for name, why in unfit.items()
    ]


def _left_out(
    groups: Iterable[SplitGroup], assigned: Mapping[str, Sequence[Sample]]
) -> list[dict[str, str]]:
    """Return path and reason of each image that lies in no split."""
    used = {sample.id for members in assigned.values() for sample in members}
    rest = [(group, sample) for group in groups for sample in group if sample.id not in used]
    return [
        {
            "path": sample.path,
            "reason": "its group, or a copy of it, lies in another split of the source"
            if any(other.id in used for other in group)
            else "more than prepare.split asks for",
        }
        for group, sample in rest
    ]


def _write(folder: Path, samples: Sequence[Sample], encoded: Iterable[bytes]) -> tuple[Sample, ...]:
    """Write the files, and return the samples with their new paths and ids."""
    folder.mkdir()
    hashes = []
    with inside.folder_writer(folder) as write:
        for sample, data in zip(samples, encoded, strict=True):
            write(_file_name(sample), data)
            hashes.append(hashlib.sha256(data).hexdigest())
    return tuple(
        replace(sample, id=ident, path=_file_name(sample))
        for sample, ident in zip(samples, manifest.unique_ids(hashes), strict=True)
    )


def _file_name(sample: Sample) -> str:
    return f"{sample.label}/{manifest.prepared_stem(sample)}.png"


def _convert(
    folder: Path, size: int, limits: images.ImageLimits, sample: Sample
) -> bytes | InputError:
    try:
        data = inside.read_inside(folder, sample.path, limits.bytes)
        pixels = images.decode(data, limits)
    except InputError as error:
        return error
    if hashlib.sha256(data).hexdigest() != manifest.content_hash(sample):
        return InputError("changed since the manifest was written")
    return images.encode_png(images.resize(pixels, size))


def _checked(
    encoded: Iterable[bytes | InputError | sandbox.Stopped], folder: Path, samples: Sequence[Sample]
) -> Iterator[bytes]:
    """Yield the bytes. Raises InputError, after all if several files are unfit."""
    unfit = list[dict[str, str]]()
    for sample, data in zip(samples, encoded, strict=True):
        if isinstance(data, bytes):
            yield b"" if unfit else data
        else:
            reason = data.reason if isinstance(data, sandbox.Stopped) else str(data)
            unfit.append({"path": sample_name(folder, sample), "reason": reason})
            yield b""
    if unfit:
        one = f"{unfit[0]['path']}: {unfit[0]['reason']}"
        told = f"{folder}: {describe_rejected(unfit, len(samples))}" if len(unfit) > 1 else one
        raise InputError(f"{told}; run `toolkit audit` again to leave out what it finds")
