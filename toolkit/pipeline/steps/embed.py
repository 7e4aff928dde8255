"""`toolkit embed`, and `toolkit.embed`."""

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit.datasets.local import open_images
from toolkit.datasets.params import ReadParams
from toolkit.io import files
from toolkit.io.manifest import Manifest
from toolkit.io.notebook import html_table
from toolkit.io.schema import build
from toolkit.metrics.params import CompareParams
from toolkit.pipeline import paths
from toolkit.progress import Track, silent
from toolkit.training import dataset
from toolkit.training.dataset import LabeledFolder
from toolkit.training.device import CPU, resolve_device
from toolkit.training.params import TrainParams
from toolkit.training.pretrained import backbones, frozen
from toolkit.training.pretrained.features import SIDE, Embedder, Features, embed_folder, keep_table

NONE = "the recipe is trained on the images themselves, or there are no images"


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """Features of labeled images, a row each: float32 [N, dimensions], in the order of `table`."""

    table: Manifest
    features: Features
    backbone: str
    size: int

    def __repr__(self) -> str:
        images, dimensions = self.features.shape
        return f"EmbeddedImages({images} images, {dimensions} features by {self.backbone})"

    def _repr_html_(self) -> str:
        counts = [[name, str(count)] for name, count in self.table.counts().items()]
        return html_table([["class", "images"], *counts], repr(self))


def embed(
    images: Path | str,
    *,
    output: Path | str | None = None,
    backbone: str = backbones.DEFAULT,
    size: int | None = None,
    device: str = "auto",
    threads: int = 1,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> EmbeddedImages:
    """Compute the features of labeled images by a pretrained network.

    `images` is a folder that `prepare` or `augment` wrote, or another, read as the keys of the
    section `fetch` in `reading` say. `backbone` is a name of `pretrained.backbones`; images are
    resized to `size` pixels, else to the backbone's. `device` is "auto", "cpu" or "cuda"; the same
    CPU `threads` give the same bytes. `output` is a folder to write: features.npy and images.csv,
    whose rows belong together. Features are kept in .toolkit/features, where none is computed
    twice. Raises InputError for an unknown backbone, weights that are not there, and images that
    cannot be read.
    """
    files.check_replaceable(output, SIDE)
    how = build(ReadParams, reading, "reading")
    place = open_images(images, track=track, say=say, links=how.follow_links).folder
    folder = dataset.open_folder(place, track, say, how)
    network = backbones.load_backbone(backbone)
    embedder = Embedder(network, size or network.size, threads, resolve_device(device))
    features = embed_folder(folder, embedder, paths.KEPT_FEATURES, track=track)
    if output:
        with files.new_folder(Path(output), marker=SIDE) as building:
            kept = keep_table(folder, embedder, paths.KEPT_FEATURES)
            shutil.copytree(kept, building, dirs_exist_ok=True)
    return EmbeddedImages(folder.table, features, backbone, embedder.size)


def embed_project(
    compare: CompareParams,
    train: TrainParams,
    output: Path,
    *,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> None:
    """Write the features that the frozen recipes of a project need, a folder for each recipe.

    That has the folder arms/<arm>, with the tables `arm` and `valid`, and the folder `test`; in
    their place a note where the recipe is not frozen. Raises as `embed` does.
    """
    opened = functools.partial(dataset.open_folder, track=track, say=say)
    with files.new_folder(output, marker=SIDE) as building:
        files.write_json(building / SIDE, {"recipes": compare.recipes})
        for name in compare.recipes:
            place, arms = building / name, compare.arms
            if train.recipes[name].frozen:
                _embed_recipe(name, compare.arms, train, place, opened, track)
                continue
            for part in (*(Path("arms", arm) for arm in arms), Path("test")):
                files.write_json(place / part / SIDE, {"none": NONE})


def _embed_recipe(
    name: str,
    arms: Sequence[str],
    train: TrainParams,
    place: Path,
    opened: Callable[[Path], LabeledFolder],
    track: Track,
) -> None:
    test = _without_folds(opened(paths.PREPARED / "test"))
    embedder = frozen.recipe_embedder(name, train)
    for arm_name in arms:
        arm = opened(paths.ARMS / arm_name)
        valid = arm if arm.table.divisions else opened(paths.PREPARED / "valid")
        size = train.recipes[name].size or dataset.choose_size(arm, valid)
        embedder = replace(embedder, size=size)
        _copy(arm, embedder, place / "arms" / arm_name / "arm", track)
        if valid is not arm:
            _copy(valid.scaled(arm.bits), embedder, place / "arms" / arm_name / "valid", track)
    # A run is evaluated on the CPU, wherever it was trained.
    _copy(test.scaled(arm.bits), replace(embedder, device=CPU), place / "test", track)


def _without_folds(folder: LabeledFolder) -> LabeledFolder:
    """Return the images that are in no fold: the others are those of the arms."""
    rest = tuple(sample for sample in folder.samples if not sample.folds)
    return replace(folder, table=replace(folder.table, samples=rest))


def _copy(folder: LabeledFolder, embedder: Embedder, output: Path, track: Track) -> None:
    """Write a folder's features to `output`; a note if it has no images."""
    if not folder.samples:
        files.write_json(output / SIDE, {"none": NONE})
        return
    kept = keep_table(folder, embedder, paths.KEPT_FEATURES, track=track)
    shutil.copytree(kept, output)
