"""Progress that library code reports without printing: through functions passed in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class EpochSummary:
    """Results of epoch `epoch` of `epochs`, in which a network was trained on `images` images.

    `seed` is that of the run; the epoch and its validation took `seconds`. `train_loss` is the mean
    over the epoch; `valid_loss` and `valid_gmean` were measured after it, on the images `where`.
    """

    seed: int
    epoch: int
    epochs: int
    images: int
    seconds: float
    train_loss: float
    valid_loss: float
    valid_gmean: float
    where: str = "valid"


class Track(Protocol):
    """A function that yields items and may show how many are done."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        """Yield `items`, of which there are `total`, if that is known."""
        ...


def silent(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:  # noqa: ARG001
    """Return `items` and show nothing."""
    return items


def ignore(report: object) -> None:
    """Show nothing of a report, such as a line of text or an EpochSummary."""
