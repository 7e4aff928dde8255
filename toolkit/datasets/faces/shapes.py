"""Shapes in face coordinates, and the Canvas that paints them on a Pillow image.

Only exact arithmetic (+ - * / sqrt) and Pillow's own operations lead to a pixel, so that every
CPU draws the same bytes.

Face coordinates: x to the right, y down, the origin between the eyes and the tip of the nose. A
cheek is about 1 from the origin; the top of the head is at y = -1.45, the chin at 1.35.
"""

import contextlib
from collections.abc import Iterator, Sequence
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


def _ribbon(p: Points, widths: npt.NDArray[np.float64], loop: bool) -> Points:
    """Return the outline of a line of varying width."""
    ends = (p[-1:], p[:1]) if loop else (p[:1], p[-1:])
    q = np.concatenate([ends[0], p, ends[1]])
    along = q[2:] - q[:-2]
    length = np.sqrt(along[:, 0] * along[:, 0] + along[:, 1] * along[:, 1])
    across = along[:, ::-1] * (-1, 1) * (widths / np.maximum(length, 1e-9) / 2)[:, None]
    left, right = p + across, p - across
    if loop:
        left, right = np.concatenate([left, left[:1]]), np.concatenate([right, right[:1]])
    return np.concatenate([left, right[::-1]])


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

    def place(self, points: Points, relief: float) -> Points:
        """Map points to pixels; `relief` is 1 on the face and 0 in the plane behind it."""
        x, y = points[:, 0], points[:, 1]
        if relief:
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


class Canvas:
    """An RGB image painted in place, in face coordinates; alpha is 0 to 255."""

    def __init__(self, image: Image.Image, pose: Pose) -> None:
        self.image = image
        self.pose = pose
        self._brush = ImageDraw.Draw(image, "RGBA")

    def fill(self, points: Points, color: Color, alpha: int = 255, *, relief: float = 0) -> None:
        """Fill an outline."""
        self._polygon(self.pose.place(points, relief), color, alpha)

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
        profile = np.maximum(np.atleast_1d(width) * self.pose.scale, 1.2)
        along = np.arange(len(points)) * ((len(profile) - 1) / (len(points) - 1))
        widths = np.interp(along, np.arange(len(profile)), profile)
        self._polygon(_ribbon(self.pose.place(points, relief), widths, loop), color, alpha)

    def soft(self, at: tuple[float, float, float, float], color: Color, alpha: int) -> None:
        """Draw a soft spot on the face: shrinking ellipses (x, y, rx, ry), together of `alpha`."""
        x, y, rx, ry = at
        for fraction in (1.0, 0.8, 0.6, 0.4):
            self.fill(ellipse(x, y, rx * fraction, ry * fraction), color, alpha // 4, relief=0.8)

    @contextlib.contextmanager
    def clip(self, outline: Points, *, relief: float = 0) -> Iterator[None]:
        """Confine what the block paints to the inside of the outline."""
        before = self.image.copy()
        yield
        outside = Image.new("L", before.size, 255)
        corners = np.floor(self.pose.place(outline, relief) + 0.5)
        ImageDraw.Draw(outside).polygon(corners.ravel().tolist(), fill=0)
        self.image.paste(before, mask=outside)

    def _polygon(self, points: Points, color: Color, alpha: int) -> None:
        self._brush.polygon(np.floor(points + 0.5).ravel().tolist(), fill=(*color, alpha))
