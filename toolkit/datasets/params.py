"""The sections fetch and prepare of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.io.schema import Commit, Hex64, Positive, Section, Seed, Share

# --- fetch: where the images come from -------------------------------------------------------


class Synthetic(Section):
    """Drawn faces."""

    source: Literal["synthetic"]
    counts: dict[Literal["with_mask", "without_mask"], Positive]
    size: Annotated[int, Field(ge=16, le=1024)] = 128
    seed: Seed = 0


class Folder(Section):
    """A folder laid out <split>/<class>/file or <class>/file."""

    source: Literal["folder"]
    path: str


class Archive(Section):
    """A zip or tar file, local or at an http(s) URL; `folder` is the part of it to take."""

    source: Literal["archive"]
    location: str
    sha256: Hex64
    folder: str = ""


class Git(Section):
    """One folder of one commit of a git repository."""

    source: Literal["git"]
    url: str
    commit: Commit
    folder: str = ""


class Facemask(Section):
    """The public face-mask photos, through git."""

    source: Literal["facemask"]


class Elpv(Section):
    """Solar cells of the elpv-dataset package; from `threshold` on a cell counts as defective."""

    source: Literal["elpv"]
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5


FetchParams = Annotated[
    Synthetic | Folder | Archive | Git | Facemask | Elpv, Field(discriminator="source")
]


class SplitCounts(Section):
    """Images of each class in each split; one number stands for every class."""

    train: Positive | dict[str, Positive]
    valid: Positive | dict[str, Positive]
    test: Positive | dict[str, Positive]


class SplitFractions(Section):
    """The share of each class in each split."""

    train: Share
    valid: Share
    test: Share

    @model_validator(mode="after")
    def _at_most_all(self) -> "SplitFractions":
        if self.train + self.valid + self.test > 1 + 1e-9:
            raise ValueError("train, valid and test must add up to at most 1")
        return self


class ByCounts(Section):
    """Split by counts."""

    counts: SplitCounts


class ByFractions(Section):
    """Split by fractions."""

    fractions: SplitFractions


Split = Literal["source"] | ByCounts | ByFractions


class PrepareParams(Section):
    """How the images are split and resized."""

    size: Annotated[int, Field(ge=16, le=1024)] = 128
    seed: Seed = 0
    split: Split = ByFractions(fractions=SplitFractions(train=0.7, valid=0.15, test=0.15))
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """With `split: source`, the share of train that becomes valid where the source has none."""
