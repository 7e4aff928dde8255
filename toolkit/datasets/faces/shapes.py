"""Shapes in face coordinates, and the Canvas that paints them on a Pillow image.

Only exact arithmetic (+ - * / sqrt) and Pillow's own operations lead to a pixel, so that every
CPU draws the same bytes.

Face coordinates: x to the right, y down, the origin between the eyes and the tip of the nose. A
cheek is about 1 from the origin; the top of the head is at y = -1.45, the chin at 1.35.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]
"""Corners of a polygon or points of a line, shape [n, 2]."""

Pairs = Sequence[tuple[float, float]]
Color = tuple[int, int, int]
Polygon = tuple[Points, tuple[int, int, int, int]]
"""Corners in pixels and color with alpha."""

T = TypeVar("T")


def choose(rng: Generator, options: Sequence[T]) -> T:
    """Sample one of `options`; a repeated entry is more likely."""
    return options[int(rng.integers(len(options)))]


def blend(a: Color, b: Color, fraction: float) -> Color:
    """Return the color `fraction` (0 to 1) of the way from `a` to `b`."""
    red, green, blue = (int(p + (q - p) * fraction + 0.5) for p, q in zip(a, b, strict=True))
    return red, green, blue


def darken(color: Color, fraction: float) -> Color:
    """Return the color `fraction` of the way to black."""
    return blend(color, (0, 0, 0), fraction)


def lighten(color: Color, fraction: float) -> Color:
    """Return the color `fraction` of the way to white."""
    return blend(color, (255, 255, 255), fraction)


def sample_color(rng: Generator) -> Color:
    """Sample a color of cloth: often muted, sometimes vivid."""
    red, green, blue = (int(v) for v in rng.integers(15, 245, 3))
    gray = (red + green + blue) // 3
    return blend((red, green, blue), (gray, gray, gray), rng.uniform(0.1, 0.9))


def _catmull_rom(steps: int) -> npt.NDArray[np.float64]:
    t = np.arange(steps) / steps
    rows = (
        -t + 2 * t * t - t * t * t,
        2 - 5 * t * t + 3 * t * t * t,
        t + 4 * t * t - 3 * t * t * t,
        t * t * t - t * t,
    )
    return np.stack(rows)[:, :, None, None] / 2


WEIGHTS = _catmull_rom(5)
# Rounded, because the last digit of a cosine depends on the CPU.
CIRCLE: Points = np.round(
    np.stack([f(np.arange(28) * (np.pi / 14)) for f in (np.cos, np.sin)], axis=1), 6
)


def closed(control: Pairs | Points) -> Points:
    """Return a smooth closed outline through the control points (a uniform Catmull-Rom spline)."""
    p = np.asarray(control, dtype=np.float64)
    q = np.concatenate([p[-1:], p, p[:2]])
    return _spline(q)


def curve(control: Pairs | Points) -> Points:
    """Return a smooth open line through the control points."""
    p = np.asarray(control, dtype=np.float64)
    return np.concatenate([_spline(np.concatenate([p[:1], p, p[-1:]])), p[-1:]])


def _spline(q: Points) -> Points:
    """Return points from the second control point up to the last but one, which is excluded."""
    w = WEIGHTS
    points: Points = w[0] * q[:-3] + w[1] * q[1:-2] + w[2] * q[2:-1] + w[3] * q[3:]
    return points.transpose(1, 0, 2).reshape(-1, 2)


def mirror_outline(half: Pairs | Points) -> Points:
    """Return a symmetric outline from its right half, given from center line to center line."""
    right = np.asarray(half, dtype=np.float64)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    """Return an ellipse around (x, y) with radii `rx` and `ry`."""
    return shift(CIRCLE * np.array((rx, ry)), x, y)


def shift(points: Pairs | Points, x: float, y: float) -> Points:
    """Move an outline by (x, y)."""
    moved: Points = np.add(points, (x, y))
    return moved


def jitter(rng: Generator, points: Pairs | Points, size: float) -> Points:
    """Move every point by up to `size` in both directions."""
    p = np.asarray(points, dtype=np.float64)
    return p + rng.uniform(-size, size, p.shape)


@dataclass(frozen=True)
class Pose:
    """A mapping of face coordinates to pixels: pixels per unit, origin, tilt, yaw and pitch.

    `tilt` is the tangent of half the angle, `yaw` and `pitch` how far the nose moves, in units.
    """

    scale: float
    x: float
    y: float
    tilt: float
    yaw: float
    pitch: float

    def place(self, points: Points, relief: npt.NDArray[np.float64] | float) -> Points:
        """Map points to pixels; `relief` of each is 1 on the face, 0 in the plane behind it."""
        x, y = points[:, 0], points[:, 1]
        z = relief * np.sqrt(np.maximum(1 - x * x - y * y / 2.4, 0))
        x, y = x + self.yaw * z, y + self.pitch * z
        t = self.tilt
        cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        placed = np.empty_like(points)
        placed[:, 0] = self.x + self.scale * (x * cos - y * sin)
        placed[:, 1] = self.y + self.scale * (x * sin + y * cos)
        return placed

    def body(self) -> "Pose":
        """Return the pose of neck and shoulders: joined at the jaw, with a quarter of the tilt."""
        joint = np.array([(0.0, 1.0)])
        upright = replace(self, tilt=self.tilt / 4, yaw=0.0, pitch=0.0)
        (dx, dy) = (self.place(joint, 0) - upright.place(joint, 0))[0]
        return replace(upright, x=self.x + float(dx), y=self.y + float(dy))


@dataclass(frozen=True)
class _Shape:
    """An outline to fill, or a line if it has widths in pixels, which are spread evenly along it.

    The outline of a clip has alpha 0.
    """

    points: Points
    relief: float
    color: tuple[int, int, int, int]
    widths: Sequence[float] = ()
    loop: bool = False


class Canvas:
    """An RGB image painted in face coordinates; alpha is 0 to 255.

    Shapes wait until `paint`, which places all their points at once: numpy takes its time by the
    call, and a face has about 90 shapes of 20 points.
    """

    def __init__(self, image: Image.Image, pose: Pose) -> None:
        self.image = image
        self.pose = pose
        self._shapes = list[_Shape]()
        self._clips = list[tuple[int, int]]()  # in the list of shapes: the outline, the end

    def fill(self, points: Points, color: Color, alpha: int = 255, *, relief: float = 0) -> None:
        """Fill an outline."""
        self._shapes.append(_Shape(points, relief, (*color, alpha)))

    def line(
        self,
        points: Points,
        width: float | Sequence[float],
        color: Color,
        alpha: int = 255,
        *,
        relief: float = 0,
        loop: bool = False,
    ) -> None:
        """Draw a line; `width` is in units, and several values are spread evenly along it."""
        units = (width,) if isinstance(width, float | int) else width
        widths = [max(unit * self.pose.scale, 1.2) for unit in units]
        self._shapes.append(_Shape(points, relief, (*color, alpha), widths, loop))

    def soft(self, at: tuple[float, float, float, float], color: Color, alpha: int) -> None:
        """Draw a soft spot on the face: shrinking ellipses (x, y, rx, ry), together of `alpha`."""
        x, y, rx, ry = at
        for fraction in (1.0, 0.8, 0.6, 0.4):
            self.fill(ellipse(x, y, rx * fraction, ry * fraction), color, alpha // 4, relief=0.8)

    @contextlib.contextmanager
    def clip(self, outline: Points, *, relief: float = 0) -> Iterator[None]:
        """Confine what the block paints to the inside of the outline; no clip holds another."""
        start = len(self._shapes)
        self.fill(outline, (0, 0, 0), 0, relief=relief)
        yield
        self._clips.append((start, len(self._shapes)))

    def paint(self) -> None:
        """Paint the shapes that wait, in their order."""
        if not self._shapes:
            return
        polygons, done = _place_shapes(self._shapes, self.pose), 0
        for start, end in self._clips:
            _draw(self.image, polygons[done:start])
            _draw_inside(self.image, polygons[start][0], polygons[start + 1 : end])
            done = end
        _draw(self.image, polygons[done:])
        self._shapes.clear()
        self._clips.clear()


def _draw(image: Image.Image, polygons: Iterable[Polygon]) -> None:
    brush = ImageDraw.Draw(image, "RGBA")
    for corners, color in polygons:
        brush.polygon(corners.ravel().tolist(), fill=color)


def _draw_inside(image: Image.Image, outline: Points, polygons: Iterable[Polygon]) -> None:
    """Draw the parts of polygons inside an outline."""
    # In all columns to its left: Pillow rounds what it adds to an x, but nothing that gives a y.
    top = max(int(outline[:, 1].min()), 0)
    right, bottom = np.minimum(outline.max(axis=0).astype(int) + 1, image.size).tolist()
    if right <= 0 or bottom <= top:
        return
    part = image.crop((0, top, right, bottom))
    _draw(part, ((corners - (0, top), color) for corners, color in polygons))
    inside = Image.new("1", part.size)
    ImageDraw.Draw(inside).polygon((outline - (0, top)).ravel().tolist(), fill=1)
    image.paste(part, (0, top), mask=inside)


def _place_shapes(shapes: Sequence[_Shape], pose: Pose) -> list[Polygon]:
    """Return the polygon of each shape: corners in whole pixels."""
    counts = [len(shape.points) for shape in shapes]
    ends = list(itertools.accumulate(counts))
    spans = list(zip((0, *ends), ends, shapes, strict=False))
    relief = np.repeat([shape.relief for shape in shapes], counts)
    placed = pose.place(np.concatenate([shape.points for shape in shapes]), relief)
    previous, following = np.arange(-1, len(placed) - 1), np.arange(1, len(placed) + 1)
    widths = np.zeros(len(placed))
    for start, end, shape in spans:
        if shape.widths:
            widths[start:end] = _spread(shape.widths, end - start)
            previous[start] = end - 1 if shape.loop else start
            following[end - 1] = start if shape.loop else end - 1
    along = placed[following % len(placed)] - placed[previous]
    length = np.sqrt(along[:, 0] * along[:, 0] + along[:, 1] * along[:, 1])
    across = along[:, ::-1] * (-1, 1) * (widths / np.maximum(length, 1e-9) / 2)[:, None]
    left, right = np.floor(placed + across + 0.5), np.floor(placed - across + 0.5)
    return [
        (_outline(left[start:end], right[start:end], shape), shape.color)
        for start, end, shape in spans
    ]


def _outline(left: Points, right: Points, shape: _Shape) -> Points:
    """Return the outline of a line from its two edges; of a shape to fill both are the outline."""
    if not shape.widths:
        return left
    if shape.loop:
        return np.concatenate([left, left[:1], right[:1], right[::-1]])
    return np.concatenate([left, right[::-1]])


def _spread(widths: Sequence[float], count: int) -> npt.NDArray[np.float64] | float:
    """Return the widths at each of `count` points."""
    if len(widths) == 1:
        return widths[0]
    along = np.arange(count) * ((len(widths) - 1) / (count - 1))
    spread: npt.NDArray[np.float64] = np.interp(along, np.arange(len(widths)), widths)
    return spread
