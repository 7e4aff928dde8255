"""How library code reports progress without printing: a function passed in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class EpochSummary:
    """An epoch of a training is over: number `epoch` of `epochs`, on so many `images`.

    train_loss was averaged over it; valid_loss and valid_gmean were measured after it.
    """

    epoch: int
    epochs: int
    images: int
    train_loss: float
    valid_loss: float
    valid_gmean: float


class Track(Protocol):
    """Yields the items it is given, and may show how far along they are."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        """Yield `items`; `total` is how many there will be, where it is known."""
        ...


def silent(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:  # noqa: ARG001
    """Show nothing."""
    return items


def ignore(report: object) -> None:
    """Show nothing of a report, such as a line of text or an EpochSummary."""
