"""`toolkit augment`, and `toolkit.augment`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.augmentation import contact_sheet, plan, render, summary
from toolkit.augmentation.params import AugmentParams, PolicyParams, Target
from toolkit.augmentation.render import AugmentationResult, OutputFormat
from toolkit.augmentation.transforms.policy import Policy
from toolkit.datasets.local import open_images
from toolkit.datasets.params import ReadParams
from toolkit.errors import InputError
from toolkit.io import files, images, parallel
from toolkit.io.notebook import html_image, html_table
from toolkit.io.schema import build
from toolkit.progress import Track, silent

BESIDE = (".png", "-most-changed.png", "-summary.json")
"""Endings of the files beside the output: contact sheet, most changed images, numbers."""


@dataclass(frozen=True)
class AugmentedFolder:
    """A training folder with new images, the result, and the contact sheet beside it."""

    folder: Path
    result: AugmentationResult
    sheet: Path
    most_changed: Path
    summary: Path

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {n}" for name, n in self.result.counts.items())
        return f"AugmentedFolder({str(self.folder)!r}: {counts})"

    def _repr_html_(self) -> str:
        new = self.result.summary.new
        rows = [[name, n - new[name], new[name], n] for name, n in self.result.counts.items()]
        table = html_table([["class", "originals", "new", "images"], *rows], str(self.folder))
        return table + html_image(self.sheet.read_bytes(), "originals and their new images")


def augment(
    train: Path | str,
    output: Path | str,
    *,
    target: Target = "auto",
    classes: Sequence[str] | None = None,
    policy: str | Path | PolicyParams | Policy = "homework",
    draw: str = "even",
    seed: int = 0,
    format: str = "png",  # noqa: A002 - the name of the option
    size: int | None = None,
    only_new: bool = False,
    shards: int = 0,
    force: bool = False,
    limit: float = AugmentParams().limit,
    yes: bool = False,
    workers: int = 0,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> AugmentedFolder:
    """Bring rare classes to a target with new images.

    `train` is a folder, archive or address of images, read as the keys of the section `fetch` in
    `reading` say, such as `{"layout": "class"}`; `output` becomes a complete training folder: the
    originals as they are (not with `only_new`), new images beside them, manifest.csv and plan.csv.
    Beside it lie a contact sheet, the most changed images, and the numbers as JSON.

    `target` is the number of images that a class ends with, originals included: a number, a mapping
    class -> number, a ratio, or one of imbalanced-learn's words, "auto" being the number of the
    largest class. `classes` restricts it. `policy` is a name (see `toolkit policies`), a YAML file
    or a list of entries, drawn with `seed`. `draw` says how often each original is copied: "even",
    or "random".
    `format` is "png" or "jpeg", `size` the side in pixels of new images, `shards` the number of tar
    files to write instead of folders; `force` replaces an output that is not ours. More than
    `limit` megabytes of new images are written with `yes` only. The bytes do not depend on
    `workers` (0 is one per core). Interrupted, the same call goes on. Raises InputError
    for a target below what there is, unknown names, and damaged originals.
    """
    folder, processes = Path(output), workers or parallel.cores()
    request = {"target": target, "classes": classes, "draw": draw, "seed": seed, "format": format}
    request["limit"] = limit
    settings: Any = build(AugmentParams, request, "")
    files.check_replaceable(folder, plan.TABLE, force=force)
    sheet, changed, numbers = (folder.with_name(f"{folder.name}{end}") for end in BESIDE)
    for path in (sheet, changed, numbers):
        check_free(path, f"a file of the output {folder}", force=force)
    how = build(ReadParams, reading, "reading")
    result = render.augment_folder(
        open_images(train, track=track, say=say, links=how.follow_links).folder,
        folder,
        settings,
        policy,
        size=size,
        form=OutputFormat(only_new, shards, force, yes),
        workers=processes,
        reading=how,
        track=track,
    )
    pairs = [(m.parent, m.child, f"{m.moved:.0f} gray levels") for m in result.report.most_changed]
    tasks = [
        partial(contact_sheet.write_sheet, sheet, result.shown, folder),
        partial(contact_sheet.write_pairs, changed, pairs, folder),
        partial(summary.write_report, numbers, result.report),
    ]
    parallel.run_tasks(tasks, processes)
    return AugmentedFolder(folder, result, sheet, changed, numbers)


def check_free(path: Path, what: str, *, force: bool) -> None:
    """Raise InputError for a file at `path` that the toolkit did not write."""
    if path.exists() and not force and not _ours(path):
        message = f"{path}: stands where {what} goes, and was not written by the toolkit"
        raise InputError(f"{message}; move it away or replace it with --force")


def _ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return images.SOFTWARE.encode() in stream.read(200)
