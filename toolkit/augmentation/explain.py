"""How a new image was made, and the image rendered again from its row of the manifest."""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.augmentation.transforms import compose, external
from toolkit.errors import InputError
from toolkit.io import files, images, inside, manifest, samples, sandbox
from toolkit.io.color import DECODING_ERRORS
from toolkit.io.images import Picture
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.text import one_line


@dataclass(frozen=True)
class TracedImage:
    """A new image in the manifest of `folder`, its line there, its original, and codec notes."""

    folder: Path
    line: int
    child: Sample
    parent: Sample
    codec: Mapping[str, Any]


def trace_image(place: Path) -> TracedImage:
    """Find a new image by its path, which may lead into a shard, or by `manifest.csv:LINE`.

    The file itself may be gone. Raises InputError if no manifest in the folders above lists it, for
    an original, and if the manifest does not say how images were written.
    """
    folder, at, table = _find(place)
    child = table.samples[at]
    if not child.derived:
        raise InputError(f"{place}: is an original (id {child.id}): nothing was drawn for it")
    return TracedImage(folder, at + 2, child, table.by_id[child.parent], _codec(folder, table))


def _find(place: Path) -> tuple[Path, int, Manifest]:
    """Return the manifest's folder, the sample's position, and the manifest."""
    name, colon, line = place.name.partition(":")
    if name == manifest.TABLE and colon:
        table = manifest.read_manifest(place.parent)
        if not line.isdecimal() or not 2 <= int(line) < len(table.samples) + 2:
            raise InputError(
                f"{place.parent / name}: must be followed by :LINE, a line from 2 to "
                f"{len(table.samples) + 1}, got {line!r}"
            )
        return place.parent, int(line) - 2, table
    absolute = place.parent.resolve() / place.name
    for folder in absolute.parents:
        if (folder / manifest.TABLE).is_file():
            table, path = manifest.read_manifest(folder), absolute.relative_to(folder).as_posix()
            for at, sample in enumerate(table.samples):
                if sample.path == path:
                    return folder, at, table
            raise InputError(f"{place}: {folder / manifest.TABLE} has no such path")
    raise InputError(f"{place}: no folder above it has a {manifest.TABLE}, which `augment` writes")


def _codec(folder: Path, table: Manifest) -> Mapping[str, Any]:
    """Return the notes on the codec, which name a format, and a size or None."""
    notes: Any = table.notes.get("codec")
    if isinstance(notes, dict) and notes.get("format") in images.ENCODERS:
        size = notes.get("size", 0)
        if size is None or (isinstance(size, int) and 0 < size <= images.MAX_SIDE):
            return notes
    path = folder / manifest.SIDECAR
    raise InputError(f"{path}: notes.codec does not say how the images were written")


def describe_trace(place: Path, trace: TracedImage) -> list[str]:
    """Return lines `key: value` on the image, and the command that renders it again."""
    child, parent = trace.child, trace.parent
    output = f"again{Path(child.path).suffix}"
    command = ["toolkit", "augment", "--explain", str(place), "--output", output]
    codec = ", ".join(f"{key} {value}" for key, value in trace.codec.items())
    lines = [
        f"image: {child.path}, of class {child.label}; {_state(trace)}",
        f"row: {trace.folder / manifest.TABLE}:{trace.line}",
        f"parent: {parent.path}, id {parent.id}",
        f"transform: {child.transform}",
        f"drawn: {manifest.canonical_json(child.params)}",
        f"seed: {child.seed}",
        f"written as: {codec}",
        f"render again: {shlex.join(command)}",
    ]
    return [one_line(line) for line in lines]


def _state(trace: TracedImage) -> str:
    """Say whether the file is still the one that was written."""
    try:
        data = inside.read_inside(trace.folder, trace.child.path, images.LIMITS.bytes)
    except InputError:
        return "the file is gone"
    unchanged = hashlib.sha256(data).hexdigest() == manifest.content_hash(trace.child)
    return "unchanged since it was written" if unchanged else "changed since it was written"


def render_again(trace: TracedImage) -> bytes:
    """Render the image again from its parent, and return the bytes of its file.

    Raises InputError if the parent is gone or was changed, for params that do not suit the
    transform, and if the bytes differ: then it names the versions that differ.
    """
    size, file_format = trace.codec["size"], trace.codec["format"]
    data = samples.sample_bytes(trace.folder, trace.parent)
    picture = samples.sample_picture(
        trace.folder, size, trace.parent, data, images.noted_bits(trace.codec)
    )
    applied = sandbox.sandboxed_map(partial(_apply, trace), [picture], 1)
    (new,) = sandbox.finished(applied, [_row(trace)])
    again = images.ENCODERS[file_format](new)
    if hashlib.sha256(again).hexdigest() != manifest.content_hash(trace.child):
        raise InputError(f"{_row(trace)}: gives other bytes here than it did: {_reason(trace)}")
    return again


def write_again(trace: TracedImage, output: Path, *, force: bool) -> None:
    """Write what `render_again` returns. Raises InputError as it does, and if `output` exists."""
    if output.exists() and not force:
        raise InputError(f"{output}: stands in the way; choose another or replace it with --force")
    files.write_file(output, render_again(trace))


def _row(trace: TracedImage) -> str:
    return f"{trace.folder / manifest.TABLE}: line {trace.line}"


def _apply(trace: TracedImage, picture: Picture) -> Picture:
    try:
        return compose.apply_transform(trace.child.transform, picture, trace.child.params)
    except DECODING_ERRORS as error:
        message = f"{_row(trace)}: cannot be rendered again ({type(error).__name__}: {error})"
        raise InputError(message) from error


def _reason(trace: TracedImage) -> str:
    """Say which of the things that the bytes depend on have changed."""
    file_format = trace.codec["format"]
    now: dict[str, Any] = {
        **images.ENCODER_SETTINGS[file_format],
        **images.encoder_versions(file_format),
    }
    for name in compose.transform_names(trace.child.transform, trace.child.params):
        now |= external.external_versions(name) if external.is_external(name) else {}
    changed = [
        f"{key} was {trace.codec.get(key)}, is {value}"
        for key, value in now.items()
        if trace.codec.get(key) != value
    ]
    return "; ".join(changed) or "the row was changed, or the toolkit is another version"
