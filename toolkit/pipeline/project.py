"""A project folder: what `toolkit init` writes."""

import json
import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from toolkit.datasets import folders
from toolkit.datasets.choice import describe_companions, find_companions
from toolkit.datasets.groups import describe_name_groups, find_name_groups
from toolkit.datasets.layouts import say_alike
from toolkit.datasets.local import LocalImages, open_images
from toolkit.datasets.params import BY_NAME, ByFolds, PrepareParams, ReadParams
from toolkit.datasets.sources import check_places
from toolkit.datasets.split import SplitChoice, choose_folds, choose_split
from toolkit.datasets.tables.columns import list_some
from toolkit.datasets.words import find_alike
from toolkit.errors import InputError, require_package
from toolkit.io import files, parallel
from toolkit.io.images import dimensions
from toolkit.io.manifest import Manifest, content_hash
from toolkit.io.samples import map_samples
from toolkit.io.text import describe_rejected
from toolkit.pipeline import params
from toolkit.pipeline.repository import commit_files, start_repositories
from toolkit.training import pretrained

PRESETS = ("quick", "homework", "elpv", "cifar10", "shortcuts", "folder")
IGNORED = (
    "/data/",
    "/models/",
    "/reports/*",
    "!/reports/summary.json",
    "/.toolkit/",
    "/dvc_plots/",
)
UNFINISHED = (".*.building/", ".*.replaced/", ".*.lock", ".*.tmp")
"""What a killed run leaves, until the next one."""
WRITTEN = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots/arms.json",
    ".dvc/plots/matrices.json",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "params.yaml",
)
"""What `init_project` writes, and commits."""
PRETRAINED, SCRATCH = "recommended", "resnet18"
"""The recipe that needs weights, and the one that takes its place without them."""
MAX_LINE = 10_000
"""Characters: a recipe stays on its line."""
HARDLY_ENOUGH = 15
"""Images that a class must have, for near-duplicates hardly to leave fewer than three pictures."""


def init_project(
    folder: Path,
    preset: str,
    images: Path | None,
    *,
    force: bool = False,
    commit: bool = True,
    backbone: str | None = None,
    reading: ReadParams = BY_NAME,
) -> list[str]:
    """Write params.yaml, dvc.yaml, .gitignore and the plot template; start git and DVC.

    They are committed unless `commit` is false. `reading` is how the images are read, `backbone`
    the network of the recipe PRETRAINED, if it is another one. Returns what was done, a line
    each. Raises InputError for an unknown preset, missing images and files that stand in the
    way; then nothing is written.
    """
    if preset not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    if (preset == "folder") != (images is not None):
        raise InputError("--images PATH goes with --preset folder, and only with it")
    if backbone and images is None:
        raise InputError("--backbone NAME goes with --images PATH")
    standing = [name for name in ("params.yaml", "dvc.yaml") if (folder / name).exists()]
    if standing and not force:
        message = f"{folder / standing[0]}: there is one already; use --force to overwrite it"
        raise InputError(message)
    require_package("dvc")
    settings, lines = _settings(preset, folder, images, reading, backbone)
    folder.mkdir(parents=True, exist_ok=True)
    start_repositories(folder)
    yaml = YAML()
    yaml.width = MAX_LINE
    with (folder / "params.yaml.tmp").open("w", encoding="utf-8") as stream:
        yaml.dump(settings, stream)
    (folder / "params.yaml.tmp").replace(folder / "params.yaml")
    files.write_file(folder / "dvc.yaml", _resource("pipeline.yaml"))
    for name in ("arms.json", "matrices.json"):
        files.write_file(folder / ".dvc" / "plots" / name, _resource(name))
    _add_lines(folder / ".gitignore", (*IGNORED, *UNFINISHED))
    _add_lines(folder / ".dvcignore", UNFINISHED)
    return [
        *lines,
        f"{folder / 'params.yaml'}: preset {preset}",
        *(commit_files(folder, WRITTEN, f"Start from the preset {preset}") if commit else []),
        f"next: cd {quote(str(folder))}; dvc repro",
    ]


def _resource(name: str) -> str:
    return (resources.files("toolkit.pipeline") / "presets" / name).read_text(encoding="utf-8")


def _settings(
    preset: str,
    folder: Path,
    images: Path | None,
    reading: ReadParams,
    backbone: str | None = None,
) -> tuple[Any, list[str]]:
    """Return the preset's YAML with the version, and what was chosen to fit the images."""
    settings = YAML().load(_resource(f"{preset}.yaml"))
    settings.insert(
        0,
        "version",
        params.installed_version(),
        comment="of the toolkit; another one refuses to run",
    )
    without = [] if backbone else _from_scratch(settings["compare"])
    if images is None:
        return settings, without
    lines = list[str]()
    with tempfile.TemporaryDirectory() as unpacked:
        opened = open_images(
            images,
            folder / ".toolkit",
            say=lines.append,
            unpacked=Path(unpacked),
            links=reading.follow_links,
        )
        fitted = _fit(settings, folder, opened, reading)
        if backbone:
            _take_backbone(settings["train"]["recipes"][PRETRAINED], folder, backbone)
        return settings, lines + fitted + without


def _take_backbone(recipe: Any, folder: Path, backbone: str) -> None:
    """Write another backbone, with its size and the weights on disk if it has some, as advised."""
    from toolkit.training.pretrained import backbones  # torch takes seconds to import

    name, _, path = backbone.partition("=")
    recipe["network"], recipe["size"] = name, backbones.made_for(name)
    if path:
        weights = Path(path)
        if not weights.is_file():
            raise files.missing(weights, "file", "name one with the backbone's weights")
        recipe["weights"] = {"path": _relative(weights, folder), "sha256": files.sha256(weights)}


def _from_scratch(compare: Any) -> list[str]:
    """Take the recipe that needs weights out where they are not installed, and say so.

    Where it is the only one, that from scratch takes its place.
    """
    recipes = compare["recipes"]
    if PRETRAINED not in recipes or pretrained.has_weights():
        return []
    recipes.remove(PRETRAINED)
    if not recipes:
        recipes.append(SCRATCH)
    if compare["primary"]["recipe"] == PRETRAINED:
        compare["primary"]["recipe"] = recipes[0]
    return [
        f"train.recipes.{PRETRAINED}: {pretrained.missing_weights()}. Without it compare.recipes "
        f"is {', '.join(recipes)}, trained from scratch: {pretrained.COST}"
    ]


def _fit(settings: Any, folder: Path, opened: LocalImages, reading: ReadParams) -> list[str]:
    """Fill in the source, the split and the positive class from the images themselves."""
    images, place = opened.name, opened.folder
    check_places(opened.source, folder / "data" / "raw", folder / ".toolkit")
    manifest = folders.scan(
        place, workers=parallel.cores(), whole=True, settings=reading, name=images
    )
    folders.check_classes(manifest, images, 2)
    counts = manifest.counts()
    _set_source(settings["fetch"], opened.source, folder)
    found = folders.read_folder(place, reading).settings
    read = {**found, **reading.model_dump(exclude_defaults=True, exclude={"follow_links"})}
    for at, (key, value) in enumerate(read.items(), start=1):
        settings["fetch"].insert(at, key, value)
    settings["prepare"]["size"] = size = _size(place, manifest)
    choice = choose_folds(manifest.samples, manifest.classes) or choose_split(
        manifest.samples, manifest.classes, PrepareParams(seed=settings["prepare"]["seed"])
    )
    _set_split(settings, choice)
    counts = _train_counts(manifest, choice)
    rarest = min(counts, key=lambda name: (counts[name], name))
    most = max(counts.values())
    settings["evaluate"]["positive"] = rarest if len(counts) == 2 else None
    where = "in train: " if choice.split == "source" else ""
    listed = ", ".join(f"{n} {name}" for name, n in counts.items())
    rare = ", ".join(name for name, n in counts.items() if n < most) or "none"
    rejected = manifest.notes.get("rejected", ())
    told = describe_rejected(rejected, len(rejected) + len(manifest.samples)) if rejected else ""
    return [
        *([f"{images}: {_read_once(manifest, choice)}"] if "read" in manifest.notes else []),
        *([f"{images}: {told}; `toolkit audit {quote(images)}` lists all of them"] if told else []),
        *(f"{images}: {line}" for line in (*choice.said, *_name_hints(manifest))),
        f"{images}: {where}{listed}; classes with fewer than the largest: {rare}",
        *_say_few(counts),
        f"prepare.size is {size}: every image is resized to {size} x {size} pixels",
        "augment.target is auto: every class of train becomes as large as the largest one"
        + ", and here none is smaller, so that no image is made" * (rare == "none")
        + "; try another with: dvc exp run -S augment.target=N",
    ]


def _read_once(manifest: Manifest, choice: SplitChoice) -> str:
    """Say how images were read, without the question that a renaming by `choice` answers."""
    alike = [names for names in find_alike(manifest.classes) if choice.rename.keys() & {*names}]
    read = str(manifest.notes["read"])
    for names in alike:
        read = read.replace(f"; {say_alike(names)}", "")
    return read


def _say_few(counts: Mapping[str, int]) -> list[str]:
    """Say of which classes near-duplicates may leave too few pictures for three splits."""
    few = [name for name, n in counts.items() if n < HARDLY_ENOUGH]
    does = "leaves it out and says so" if len(counts) > 2 else "stops"
    return [
        f"near-duplicates, which the audit finds, count as one picture: where they leave a class "
        f"fewer than three, `prepare` {does} (possible for {list_some(few)})"
    ] * bool(few)


def _name_hints(manifest: Manifest) -> list[str]:
    """Say what the names of files look like: masks beside images, and groups."""
    paths = [PurePosixPath(sample.path) for sample in manifest.samples]
    labels = [sample.label for sample in manifest.samples]
    companions = find_companions(paths, labels, [0.0] * len(paths))
    ungrouped = all(sample.group == content_hash(sample) for sample in manifest.samples)
    found = find_name_groups(paths, labels, range(len(paths))) if ungrouped else None
    return [
        *([describe_companions(companions)] if companions else []),
        *([describe_name_groups(found)] if found else []),
    ]


def _set_source(section: Any, source: ReadParams, folder: Path) -> None:
    """Fill the section `fetch`, in which local paths are relative to the project."""
    values = source.model_dump(exclude_defaults=True)
    for key in ("path", "location", "follow_links"):
        if key in values and "://" not in values[key]:
            values[key] = _relative(Path(values[key]), folder)
    comments = section.ca.items.pop("path", None)
    section.pop("path")
    section.update(values)
    section.ca.items[next(reversed(section))] = comments  # the empty line behind the section


def _set_split(settings: Any, choice: SplitChoice) -> None:
    """Write the split that was chosen, and the classes that it leaves out or renames."""
    if isinstance(choice.split, str):
        settings["prepare"]["split"] = choice.split
        settings["prepare"].yaml_add_eol_comment(
            "the images' own; what one lacks is cut from train", "split"
        )
    elif isinstance(choice.split, ByFolds):
        flow = YAML().load(json.dumps(choice.split.model_dump()))
        settings["prepare"]["split"] = flow
        settings["prepare"].yaml_add_eol_comment("each image is tested without its fold", "split")
    classes = settings["fetch"].get("classes", {})
    if choice.leave_out and (classes.get("rename") or classes.get("merge")):
        raise InputError(f"{'; '.join(choice.said)}; leave them out with --classes, by hand")
    if choice.leave_out:
        left_out = [*classes.get("leave_out", ()), *choice.leave_out]
        classes = {**classes, "leave_out": left_out}
    if choice.rename:
        classes = {**classes, "rename": {**classes.get("rename", {}), **choice.rename}}
    if choice.leave_out or choice.rename:
        settings["fetch"].pop("classes", None)
        flow = YAML().load(json.dumps(classes, ensure_ascii=False))
        settings["fetch"].insert(1, "classes", flow, comment="else a split would lack some")


def _train_counts(manifest: Manifest, choice: SplitChoice) -> dict[str, int]:
    """Count the images of each class that is used: in train, or in all if they are one pool."""
    folds = isinstance(choice.split, ByFolds)
    names = [
        choice.rename.get(sample.label, sample.label)
        for sample in manifest.samples
        if (sample.split != "test" if folds else choice.split != "source")
        or sample.split == "train"
    ]
    counts = Counter(name for name in names if name not in choice.leave_out)
    return dict(sorted(counts.items()))


def _size(images: Path, manifest: Manifest) -> int:
    """Return a size that does not enlarge the typical image: at most the recommended one."""
    some = manifest.samples[:: max(1, len(manifest.samples) // 200)]
    sides = [min(shape) for shape in map_samples(images, some, dimensions)]
    return int(np.clip(statistics.median(sides) // 16 * 16, 32, 192))


def _relative(images: Path, folder: Path) -> str:
    """Relative where the images lie in the project or beside it, else absolute."""
    target, start = files.resolve(images), files.resolve(folder)
    near = target.is_relative_to(start.parent)
    return Path(os.path.relpath(target, start)).as_posix() if near else target.as_posix()


def _add_lines(path: Path, lines: Sequence[str]) -> None:
    """Add lines to a file, keeping what is there."""
    old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    files.write_file(path, "\n".join([*old, *(line for line in lines if line not in old)]) + "\n")
