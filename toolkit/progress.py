"""How library code reports progress without printing: a function passed in."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Yields the items it is given, and may show how far along they are."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        """Yield `items`; `total` is how many there will be, where it is known."""
        ...


def silent(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:  # noqa: ARG001
    """Show nothing."""
    return items
