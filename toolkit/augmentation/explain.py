"""Where a new image comes from; and the image made once more, from its row of the manifest."""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.augmentation.transforms import compose, external
from toolkit.errors import InputError
from toolkit.io import files, images, manifest, samples, shards
from toolkit.io.color import DECODING_ERRORS
from toolkit.io.images import Picture
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.text import one_line


@dataclass(frozen=True)
class TracedImage:
    """A new image of the manifest in `folder`, its line there, its original, and codec notes."""

    folder: Path
    line: int
    child: Sample
    parent: Sample
    written: Mapping[str, Any]


def trace_image(place: Path) -> TracedImage:
    """Find a new image by its path, also in a shard, or by `manifest.csv:LINE`.

    The file need not be there any more. Raises InputError where no manifest in the folders above
    has it, for an original, and for a manifest that does not say how images were written.
    """
    folder, at, table = _found(place)
    child = table.samples[at]
    if not child.derived:
        raise InputError(f"{place}: is an original (id {child.id}): nothing was drawn for it")
    return TracedImage(folder, at + 2, child, table.by_id[child.parent], _written(folder, table))


def _found(place: Path) -> tuple[Path, int, Manifest]:
    """The manifest's folder, the sample's position, and the manifest."""
    name, colon, line = place.name.partition(":")
    if name == manifest.TABLE and colon:
        table = manifest.read_manifest(place.parent)
        if not line.isdecimal() or not 2 <= int(line) < len(table.samples) + 2:
            known = f"a line from 2 to {len(table.samples) + 1}"
            raise InputError(
                f"{place.parent / name}: must be followed by :LINE, {known}, got {line!r}"
            )
        return place.parent, int(line) - 2, table
    whole = place.parent.resolve() / place.name
    for folder in whole.parents:
        if (folder / manifest.TABLE).is_file():
            table, path = manifest.read_manifest(folder), whole.relative_to(folder).as_posix()
            for at, sample in enumerate(table.samples):
                if sample.path == path:
                    return folder, at, table
            raise InputError(f"{place}: {folder / manifest.TABLE} has no such path")
    raise InputError(f"{place}: no folder above it has a {manifest.TABLE}, which `augment` writes")


def _written(folder: Path, table: Manifest) -> Mapping[str, Any]:
    """The notes on the codec, if they name a format and a size or none."""
    notes: Any = table.notes.get("codec")
    if isinstance(notes, dict) and notes.get("format") in images.ENCODERS:
        size = notes.get("size", 0)
        if size is None or (isinstance(size, int) and 0 < size <= images.MAX_SIDE):
            return notes
    path = folder / manifest.SIDECAR
    raise InputError(f"{path}: notes.codec does not say how the images were written")


def describe_trace(place: Path, traced: TracedImage) -> list[str]:
    """The image's story in lines `key: value`, and the command that makes it again."""
    child, parent = traced.child, traced.parent
    again = ["toolkit", "augment", "--explain", str(place), "--output", f"again{_suffix(child)}"]
    written = ", ".join(f"{key} {value}" for key, value in traced.written.items())
    lines = [
        f"image: {child.path}, of class {child.label}; {_state(traced)}",
        f"row: {traced.folder / manifest.TABLE}:{traced.line}",
        f"parent: {parent.path}, id {parent.id}",
        f"transform: {child.transform}",
        f"drawn: {manifest.canonical_json(child.params)}",
        f"seed: {child.seed}",
        f"written as: {written}",
        f"make it again: {shlex.join(again)}",
    ]
    return [one_line(line) for line in lines]


def _state(traced: TracedImage) -> str:
    """Whether the file is still the one that was written."""
    try:
        found = hashlib.sha256(shards.read_member(traced.folder / traced.child.path)).hexdigest()
    except (OSError, InputError):
        return "it is not there any more"
    same = found == manifest.content_hash(traced.child)
    return "as it was written" if same else "it was changed since it was written"


def _suffix(child: Sample) -> str:
    return Path(child.path).suffix


def render_again(traced: TracedImage) -> bytes:
    """The image's bytes, made once more of its parent.

    Raises InputError for a parent that is not there or was changed, for params that do not suit
    the transform, and where the bytes are others: then with the versions that differ.
    """
    size, encoder = traced.written["size"], traced.written["format"]
    data = samples.sample_bytes(traced.folder, traced.parent)
    picture = samples.sample_picture(traced.folder, size, traced.parent, data)
    made = images.ENCODERS[encoder](_changed(traced, picture))
    if hashlib.sha256(made).hexdigest() != manifest.content_hash(traced.child):
        raise InputError(f"{_row(traced)}: gives other bytes here than it did: {_reason(traced)}")
    return made


def write_again(traced: TracedImage, output: Path, *, force: bool) -> None:
    """Write the image that `again` makes. Raises InputError for a file in the way, as it does."""
    if output.exists() and not force:
        raise InputError(f"{output}: stands in the way; choose another or replace it with --force")
    files.write_file(output, render_again(traced))


def _row(traced: TracedImage) -> str:
    return f"{traced.folder / manifest.TABLE}: line {traced.line}"


def _changed(traced: TracedImage, picture: Picture) -> Picture:
    try:
        return compose.change(traced.child.transform, picture, traced.child.params)
    except DECODING_ERRORS as error:
        message = f"{_row(traced)}: cannot be done again ({type(error).__name__}: {error})"
        raise InputError(message) from error


def _reason(traced: TracedImage) -> str:
    """What the bytes depend on and is not as it was."""
    encoder = traced.written["format"]
    now: dict[str, Any] = {**images.ENCODER_SETTINGS[encoder], **images.encoder_versions(encoder)}
    for name in compose.names(traced.child.transform, traced.child.params):
        now |= external.external_versions(name) if external.is_foreign(name) else {}
    changed = [
        f"{key} was {traced.written.get(key)}, is {value}"
        for key, value in now.items()
        if traced.written.get(key) != value
    ]
    return "; ".join(changed) or "the row was changed, or the toolkit is another version"
