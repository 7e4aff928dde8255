"""The sections `fetch` (where images come from, how they are read) and `prepare` (how split)."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from toolkit.io.schema import (
    Commit,
    Count,
    Fraction,
    Integer,
    Number,
    Positive,
    Section,
    Seed,
    Sha256,
)

LEVELS = ("split", "class", "group", "any")
"""What a level of folders may be in `fetch.layout`."""

Side = Annotated[Integer, Field(ge=16, le=1024)]  # pixels


Pattern = Annotated[str, Field(pattern=r"\S")]


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


class ClassParams(Section):
    """Which classes are used: some left out, merged into a new one, or renamed.

    A class with fewer than `smallest` images is refused, left out, or merged into "other".
    """

    leave_out: list[str] = []
    merge: dict[str, list[str]] = {}
    rename: dict[str, str] = {}
    smallest: Count = 0
    below: Literal["refuse", "leave_out", "merge"] = "refuse"


class ReadParams(Section):
    """How a folder of images is read, the same for every source; by default from its names.

    `layout` names the levels of folders: split, class, group and any, such as split/class.
    `split_names` translates names of splits, as {Lernen: train}. `labels` is a table beside the
    images; `image`, `label`, `group`, `split` and `weight` are its columns (weight `none`: none
    is), and `group` and `label` may be patterns over the path instead, or `group` the level of a
    folder. `only` and `leave_out` are patterns of paths (see `choice.fits_pattern`). Links that
    lead to files in the folder `follow_links` are read as these; others are not followed.
    """

    layout: str = ""
    split_names: dict[str, Literal["train", "valid", "test"]] = {}
    labels: str = ""
    image: str = ""
    label: str = ""
    group: Annotated[str, BeforeValidator(_as_text)] = ""
    split: str = ""
    weight: str = ""
    only: list[Pattern] = []
    leave_out: list[Pattern] = []
    classes: ClassParams = ClassParams()
    follow_links: str = ""

    @model_validator(mode="after")
    def _check_links(self) -> "ReadParams":
        if self.follow_links and getattr(self, "source", "folder") != "folder":
            raise ValueError("follow_links goes with source folder; links of others are not read")
        return self

    @model_validator(mode="after")
    def _check_layout(self) -> "ReadParams":
        levels = self.layout.split("/") if self.layout else ["class"]
        known = all(level in LEVELS for level in levels)
        if not known or levels.count("class") != 1 or levels.count("split") > 1:
            raise ValueError(
                f"layout must name the levels of folders, each of {', '.join(LEVELS)}, with one "
                f"class, such as split/class, got {self.layout!r}"
            )
        return self


BY_NAME = ReadParams()
"""A folder is read by the names in it alone."""


class Synthetic(ReadParams):
    """Drawn faces with and without masks, `size` x `size` pixels; nothing is downloaded."""

    source: Literal["synthetic"]
    counts: dict[Literal["with_mask", "without_mask"], Positive]
    size: Side = 128
    seed: Seed = 0


class Folder(ReadParams):
    """A folder laid out <split>/<class>/file or <class>/file."""

    source: Literal["folder"]
    path: str


class Archive(ReadParams):
    """A zip or tar file, local or at an http(s) URL; only the part below `folder` is used."""

    source: Literal["archive"]
    location: str
    sha256: Sha256 | None = None
    folder: str = ""

    @model_validator(mode="after")
    def _is_pinned(self) -> "Archive":
        if "://" in self.location and not self.sha256:
            raise ValueError(
                "sha256 is missing, which an archive from the network needs; "
                "`toolkit init --images ADDRESS` writes it"
            )
        return self


class Huggingface(ReadParams):
    """One commit of a data set of Hugging Face; `folder` is a folder or an archive in it."""

    source: Literal["huggingface"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: Commit
    folder: str = ""


class Kaggle(ReadParams):
    """One version of a data set of Kaggle; `folder` is a folder or an archive in it."""

    source: Literal["kaggle"]
    name: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    version: Positive
    folder: str = ""


class Git(ReadParams):
    """One folder of one commit of a git repository."""

    source: Literal["git"]
    url: str
    commit: Commit
    folder: str = ""


class Facemask(ReadParams):
    """The public face-mask photos, from their git repository."""

    source: Literal["facemask"]


class Elpv(ReadParams):
    """Solar cells of the elpv-dataset package, defective from a probability of `threshold` on."""

    source: Literal["elpv"]
    threshold: Annotated[Number, Field(gt=0, le=1)] = 0.5


FetchParams = Annotated[
    Synthetic | Folder | Archive | Git | Huggingface | Kaggle | Facemask | Elpv,
    Field(discriminator="source"),
]
"""The section `fetch`; its key `source` selects the class."""


class SplitCounts(Section):
    """Images per class in each split; one number stands for every class."""

    train: Positive | dict[str, Positive]
    valid: Positive | dict[str, Positive]
    test: Positive | dict[str, Positive]


class ByCounts(Section):
    """Split into exactly so many images."""

    counts: SplitCounts


class SplitFractions(Section):
    """Fraction of each class in each split; together at most 1. 0 is an empty split."""

    train: Fraction
    valid: Fraction
    test: Fraction

    @property
    def total(self) -> float:
        """The fraction of each class that is used."""
        return self.train + self.valid + self.test

    @model_validator(mode="after")
    def _check_sum(self) -> "SplitFractions":
        if self.total > 1 + 1e-9:
            raise ValueError("train, valid and test must add up to at most 1")
        return self


class ByFractions(Section):
    """Split every class by the same fractions, anew: the source's own splits do not count."""

    fractions: SplitFractions = SplitFractions(train=0.7, valid=0.15, test=0.15)


class ByFolds(Section):
    """Test every image: cross-fitting in so many `folds`, anew in each of the `repeats`.

    Images that the source has in test stay apart.
    """

    folds: Annotated[Integer, Field(ge=2, le=100)]
    repeats: Annotated[Integer, Field(ge=1, le=100)] = 2


Split = Literal["auto", "source"] | ByCounts | ByFractions | ByFolds
"""`source` keeps the splits that the images already lie in, and cuts from train what is missing.
`auto` is that for images in train and another split, else the fractions 0.7, 0.15 and 0.15."""


class PrepareParams(Section):
    """The section `prepare`; images become `size` x `size` pixels.

    `decisions` is a table of what a person decided about single images (see `tables.decisions`).
    """

    size: Side = 128
    seed: Seed = 0
    decisions: str = ""
    split: Split = "auto"
    valid_fraction: Annotated[Number, Field(gt=0, le=0.5)] = 0.2
    test_fraction: Annotated[Number, Field(gt=0, le=0.5)] = 0.2
    """With the source's own splits, the fraction of a class in train that becomes valid or test
    where the source has none of it there."""
