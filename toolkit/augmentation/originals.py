"""The originals of a training folder, and where the output has them."""

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

from toolkit import progress
from toolkit.datasets import folders
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import files, images, shards
from toolkit.io.manifest import TABLE, Manifest, Sample
from toolkit.io.samples import map_samples


def load_originals(
    folder: Path,
    output: Path,
    track: progress.Track,
    workers: int = 1,
    reading: ReadParams = BY_NAME,
) -> Manifest:
    """Return the manifest of a training folder (see `folders.scan`), of what decodes in it.

    Of a folder without a manifest, what does not decode is in notes["rejected"]. Raises InputError
    if the folder and the output overlap, if it has no class, images of another split than train, or
    derived images.
    """
    files.check_output(output)
    inner, outer = files.resolve(folder), files.resolve(output)
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise InputError(f"{output}: the output must lie apart from the images' folder {folder}")
    source = folders.scan(folder, track, workers, whole=True, settings=reading)
    check_originals(source, folder)
    for sample in source.samples:
        if sample.split not in ("", "train"):
            train = tuple(other for other in source.samples if other.split == "train")
            chosen = replace(source, samples=train or source.samples)
            raise InputError(
                f"{folder}: holds images of the split {sample.split!r} ({sample.path}); only "
                f"training images are augmented: {folders.suggest_splits(chosen, folder)}, or "
                f"choose with --only"
            )
        if sample.derived:
            raise InputError(
                f"{folder}: was augmented already ({sample.path}); give the originals' folder and "
                f"a higher target: the first new images stay the same"
            )
    return source


def verify_copies(source: Manifest, folder: Path, track: progress.Track, workers: int) -> None:
    """Decode the originals of a folder with a manifest, before they are copied.

    Those of another folder decoded when it was scanned. Raises InputError as `map_samples` does.
    """
    if (folder / TABLE).is_file():
        checked = map_samples(folder, source.samples, images.verify, workers)
        for _ in track(checked, "check", len(source.samples)):
            pass


def check_originals(source: Manifest, folder: Path) -> None:
    """Raise InputError for a folder without classes, and for a class whose files are no images."""
    unusable = {name for name, n in source.counts().items() if not n}
    reasons = (PurePosixPath(file["path"]).parts for file in source.notes.get("rejected", ()))
    if not source.classes or any(unusable.intersection(parts) for parts in reasons):
        folders.check_classes(source, folder)


def place_originals(
    source: Manifest, folder: Path, output: Path, only_new: bool, shard_count: int
) -> tuple[Sample, ...]:
    """Return the originals with their paths in the output's manifest.

    With `only_new` the paths lead to the originals themselves; otherwise to copies, which go to
    `shard_count` shards in turn, or to <class>/file if that is 0.
    """
    if only_new:
        return link_originals(source, folder, output)
    if shard_count:
        return tuple(_in_shard(s, at % shard_count) for at, s in enumerate(source.samples))
    return _in_folders(source)


def link_originals(source: Manifest, folder: Path, output: Path) -> tuple[Sample, ...]:
    """Return the originals with paths that lead from the output to where they are.

    Raises InputError where there is no such path, from one drive of Windows to another.
    """
    try:
        relative = os.path.relpath(files.resolve(folder), files.resolve(output))
    except ValueError:
        remedy = f"name an output on the drive of {folder}, which its manifest leads to"
        raise InputError(f"{output}: lies on another drive than the images; {remedy}") from None
    base = Path(relative).as_posix()
    return tuple(replace(sample, path=f"{base}/{sample.path}") for sample in source.samples)


def _in_shard(sample: Sample, shard: int) -> Sample:
    suffix = PurePosixPath(sample.path).suffix.lower()
    ordinary = suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 5
    name = f"original-{sample.id}{suffix if ordinary else '.img'}"
    return replace(sample, path=f"{shards.shard_name(shard)}/{name}")


def _in_folders(source: Manifest) -> tuple[Sample, ...]:
    placed: dict[str, Sample] = {}
    for sample in source.samples:
        path = _class_path(sample)
        if str(path) in placed:
            path = path.with_stem(f"{path.stem}-{sample.id[:8]}")
        placed[str(path)] = replace(sample, path=str(path))
    return tuple(placed.values())


def _class_path(sample: Sample) -> PurePosixPath:
    """Return <class>/rest, where rest follows the class's folder in the sample's path."""
    parts = PurePosixPath(sample.path).parts
    rest = parts[parts.index(sample.label) + 1 :] if sample.label in parts[:-1] else parts[-1:]
    return PurePosixPath(sample.label, *rest)
