"""How much a new image differs from its original, and whether it is another new one over again.

Both are seen on the grey values of 16 x 16 points, spread evenly: a sample, so that an image of any
size takes some 10 microseconds, and the mean change is without bias that of all pixels. The points
are the digits of long numbers, on which one operation computes with all of them.
"""

from dataclasses import dataclass

from PIL import Image

from toolkit.io.images import Picture

SIDE = 16
RADIUS = 24  # of 240 bits; of 300 photos of faces no two are nearer than 80
HALVES = bytes(value >> 1 for value in range(256))
TOPS = int.from_bytes(bytes([128]) * SIDE * SIDE, "big")
COMPARED = int.from_bytes(bytes([0, *[128] * (SIDE - 1)]) * SIDE, "big")
LANES = SIDE * SIDE // 2  # of 16 bits, for every second point
ONES = int.from_bytes(bytes([0, 1]) * LANES, "big")
EVEN, OVER = 255 * ONES, 256 * ONES


@dataclass(frozen=True)
class Similarity:
    """What is seen of a new image.

    change: mean absolute difference to the original, in grey levels (0 to 255).
    moved: the same, to the original or its mirror image, whichever is nearer: of a flip next to
    nothing, of a crop or a large turn much.
    near: whether its perceptual hash is within RADIUS of the original's, or of an earlier new
    image's of the same original.
    """

    change: float
    moved: float
    near: bool


class Fingerprinter:
    """Looks at the new images of one original, one after the other."""

    def __init__(self, original: Picture) -> None:
        """Look at the original."""
        points = _points(original)
        self._grey = _Grey(points.tobytes())
        self._mirrored = _Grey(points.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes())
        self._seen = [fingerprint(points.tobytes())]

    def look(self, picture: Picture) -> Similarity:
        """Look at the next new image."""
        points = _points(picture).tobytes()
        bits, grey = fingerprint(points), _Grey(points)
        near = min(map(int.bit_count, map(bits.__xor__, self._seen))) <= RADIUS
        if not near:
            self._seen.append(bits)
        change = grey.difference(self._grey)
        return Similarity(change, min(change, grey.difference(self._mirrored)), near)


class _Grey:
    """Grey values of SIDE x SIDE points, to be compared."""

    def __init__(self, points: bytes) -> None:
        """Every second point gets a lane in one number, the rest in another."""
        number = int.from_bytes(points, "big")
        self._even, self._odd = number & EVEN, number >> 8 & EVEN
        self._sum = _total(self._even + self._odd)

    def difference(self, other: "_Grey") -> float:
        """The mean absolute difference, exactly: twice what is above, less all differences."""
        above = _above(self._even, other._even) + _above(self._odd, other._odd)
        return (2 * _total(above) - (self._sum - other._sum)) / (SIDE * SIDE)


def _above(one: int, other: int) -> int:
    """In each lane how much more there is in one than in the other; 0 where it is less."""
    lanes = (one | OVER) - other
    return lanes & 255 * (lanes >> 8 & ONES)


def _total(lanes: int) -> int:
    """The sum of the lanes, as the sum of digits gives the rest of a division by nine."""
    return lanes % (2**16 - 1)


def fingerprint(points: bytes) -> int:
    """240 bits: whether a point is at least as light as its neighbor at the left (dHash).

    `points`: SIDE x SIDE grey values. N. Krawetz, "Kind of like that", 2013. All are compared at
    once: in each byte of a long number 128 is added to the left one's half before the right one's
    half is taken away.
    """
    halves = int.from_bytes(points.translate(HALVES), "big")
    return (halves | TOPS) - (halves >> 8) & COMPARED


def _points(picture: Picture) -> Picture:
    return picture.resize((SIDE, SIDE), Image.Resampling.NEAREST).convert("L")
