"""`toolkit init`, and `toolkit.init`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.datasets.params import ReadParams
from toolkit.io.notebook import html_table
from toolkit.io.schema import build
from toolkit.pipeline.project import init_project


@dataclass(frozen=True)
class Project:
    """A project folder, the preset that it started from, and what was done, a line each."""

    folder: Path
    preset: str
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        return html_table([[f"{self.folder}, preset {self.preset}"], *([n] for n in self.notes)])


def init(
    folder: Path | str = Path(),
    *,
    preset: str = "",
    images: Path | str | None = None,
    force: bool = False,
    commit: bool = True,
    backbone: str | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
) -> Project:
    """Write params.yaml and dvc.yaml into `folder`, so that `dvc repro` runs there.

    `preset` is `folder` where `images` (your own photos) are given, else `quick`; `force`
    overwrites a params.yaml and dvc.yaml that are there; `commit` makes the commit that
    experiments of DVC start from, where git knows your name. `backbone` is the pretrained
    network, if it is not the default: a name of `pretrained.backbones`. `reading` holds keys of
    the section `fetch` that say how the images are read, such as `{"layout": "split/class"}`.
    Raises InputError for an unknown preset, missing images and files that stand in the way;
    then nothing is written.
    """
    preset = preset or ("folder" if images else "quick")
    place = Path(folder)
    source, settings = Path(images) if images else None, build(ReadParams, reading, "reading")
    lines = init_project(
        place, preset, source, force=force, commit=commit, backbone=backbone, reading=settings
    )
    return Project(place, preset, tuple(lines))
