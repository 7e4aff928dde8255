"""Things that hide the lower face: masks, and others (hands, scarves, cups)."""

import numpy as np
from numpy.random import Generator

from toolkit.datasets.faces.people import Person
from toolkit.datasets.faces.shapes import (
    Canvas,
    Color,
    Points,
    blend,
    choose,
    closed,
    curve,
    darken,
    ellipse,
    jitter,
    lighten,
    mirror_outline,
    sample_color,
    shift,
)

SURGICAL: tuple[Color, ...] = (
    (120, 180, 215), (120, 180, 215), (110, 190, 175), (235, 240, 242), (228, 172, 182),
    (66, 68, 76), (206, 172, 144), (170, 120, 90),
)  # fmt: skip
MASKS = ("surgical",) * 4 + ("plain", "plain", "pointed", "stripes", "checks", "dots")
# Of each finger: x and y of its base, and y of its tip.
FINGERS = (
    (-0.27, -0.1, -0.62), (-0.09, -0.15, -0.8), (0.09, -0.15, -0.76), (0.27, -0.1, -0.55),
)  # fmt: skip


def draw_mask(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw one of MASKS over mouth and nose, with its straps."""
    kind, w = choose(rng, MASKS), person.width
    top, side = rng.uniform(-0.06, 0.22), rng.uniform(0.05, 0.3)
    low = person.chin + rng.uniform(-0.1, 0.08)
    half = np.array([
        (0, top), (0.24, top + 0.04), (0.55, side), (0.88 * w, side + 0.04), (0.93 * w, side + 0.2),
        (person.jaw + 0.06, 0.88), (0.36, low - 0.05), (0, low),
    ])  # fmt: skip
    if kind == "pointed":
        half[0], half[5] = (0, top - 0.1), (person.jaw - 0.08, 0.95)
    color = _mask_color(kind, person, rng)
    _straps(canvas, person, rng, (side + 0.08, 0.84))
    outline = closed(jitter(rng, mirror_outline(half), 0.02))
    _cloth(canvas, person, outline, kind, color, rng)


def draw_mask_under_chin(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw one of MASKS pulled down, so that it covers the chin at most."""
    kind, top = choose(rng, MASKS), rng.uniform(0.98, 1.12)
    low = person.chin + rng.uniform(0.12, 0.35)
    jaw = ((person.jaw + 0.04, 0.75), (person.jaw + 0.1, 0.95))
    half = ((0, top), (0.35, top - 0.02), *jaw, (0.45, low), (0, low))
    _straps(canvas, person, rng, (0.72, 0.8))
    _cloth(canvas, person, closed(mirror_outline(half)), kind, _mask_color(kind, person, rng), rng)


def _mask_color(kind: str, person: Person, rng: Generator) -> Color:
    if kind == "surgical":
        return lighten(choose(rng, SURGICAL), rng.uniform(0, 0.3))
    if rng.random() < 0.2:
        return blend(person.skin, sample_color(rng), 0.15)
    return choose(rng, (sample_color(rng), sample_color(rng), (238, 238, 236), (30, 30, 34)))


def _straps(canvas: Canvas, person: Person, rng: Generator, at: tuple[float, float]) -> None:
    color = choose(rng, ((240, 240, 240), (240, 240, 240), (40, 40, 44)))
    for side in (-1, 1):
        for y, ear in zip(at, (-0.12, 0.26), strict=True):
            start, end = (side * 0.84 * person.width, y), (side * (person.width + 0.05), ear)
            canvas.line(np.array([start, end]), 0.035, color, 230, relief=0.5)


def _cloth(
    canvas: Canvas, person: Person, outline: Points, kind: str, color: Color, rng: Generator
) -> None:
    """Fill a mask's outline: pattern, pleats or a fold, light and shadow, an edge."""
    x, y = outline[:, 0], outline[:, 1]
    top, low = float(y.min()), float(y.max())
    canvas.fill(shift(outline, 0, 0.05), darken(person.skin, 0.6), 90, relief=0.6)
    canvas.fill(outline, color, relief=0.85)
    with canvas.clip(outline, relief=0.85):
        if kind in ("stripes", "checks", "dots"):
            _pattern(canvas, kind, sample_color(rng), float(x.max()), (top, low), rng)
        if kind == "surgical":
            for fraction in (0.3, 0.5, 0.7):
                level = top + (low - top) * fraction
                pleat = curve([(-0.95, level - 0.04), (0, level + 0.06), (0.95, level - 0.04)])
                canvas.line(pleat, 0.05, darken(color, 0.3), 170, relief=0.85)
                canvas.line(shift(pleat, 0, 0.05), 0.03, lighten(color, 0.5), 150, relief=0.85)
        if kind in ("pointed", "plain"):
            ridge = curve([(0, top), (person.light * 0.05, (top + low) / 2), (0, low)])
            canvas.line(ridge, 0.05, darken(color, 0.35), 140, relief=1)
        for step in (0.0, 0.16, 0.32):
            shade = shift(outline, -person.light * (1.5 - step), 0.2)
            canvas.fill(shade, darken(color, 0.7), 34, relief=0.4)
        canvas.soft((person.light * 0.3, top + 0.4, 0.45, 0.3), lighten(color, 0.6), 70)
    canvas.line(outline, 0.04, darken(color, 0.25), 200, relief=0.85, loop=True)


def _pattern(
    canvas: Canvas, kind: str, color: Color, width: float, rows: tuple[float, float], rng: Generator
) -> None:
    gap = rng.uniform(0.16, 0.3)
    across = np.arange(-width, width, gap).tolist()
    down = np.arange(rows[0], rows[1], gap).tolist()
    if kind == "dots":
        for x in across:
            for y in down:
                canvas.fill(ellipse(x, y, gap * 0.28, gap * 0.28), color, relief=0.85)
        return
    for y in down:
        row = curve([(-width, y), (0, y + 0.05), (width, y)])
        canvas.line(row, gap * 0.4, color, 210, relief=0.85)
    for x in across if kind == "checks" else ():
        canvas.line(np.array([(x, rows[0]), (x, rows[1])]), gap * 0.4, color, 150, relief=0.85)


def _draw_hand(
    canvas: Canvas, person: Person, rng: Generator, at: tuple[float, float], turn: float
) -> None:
    """Draw a hand at `at`, fingers up, rotated by `turn` (the tangent of half the angle)."""
    skin, line = blend(person.skin, (200, 90, 80), 0.08), darken(person.skin, 0.45)
    cos, sin = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
    size, flip = rng.uniform(0.85, 1.15), choose(rng, (-1, 1))

    def put(points: Points) -> Points:
        x, y = points[:, 0] * size * flip, points[:, 1] * size
        return np.stack([x * cos - y * sin + at[0], x * sin + y * cos + at[1]], axis=1)

    arm = [(-0.3, 0.5), (0.3, 0.5), (0.42, 1.3), (0.5, 3.2), (-0.5, 3.2), (-0.42, 1.3)]
    canvas.fill(put(np.array([*arm[:2], (0.34, 1.0), (-0.34, 1.0)])), skin)
    if rng.random() < 0.7:
        canvas.fill(put(np.array([(-0.37, 0.85), (0.37, 0.85), *arm[2:]])), person.cloth)
    half_palm = [(0, -0.3), (0.34, -0.2), (0.36, 0.3), (0.26, 0.7)]
    palm = closed([(-0.34, -0.2), *half_palm, (-0.26, 0.7), (-0.36, 0.3)])
    spread = rng.uniform(0.0, 0.09)
    for x, y, tip in FINGERS:
        end, knuckle = x * (1 + spread * 6), tip + 0.1
        bent = [(end - 0.09, knuckle), (end, tip), (end + 0.09, knuckle)]
        finger = closed([(x - 0.1, y + 0.2), *bent, (x + 0.1, y + 0.2)])
        canvas.fill(put(finger), skin)
        canvas.line(put(finger), 0.025, line, 150, loop=True)
        canvas.fill(put(ellipse(end, tip + 0.08, 0.05, 0.06)), lighten(skin, 0.35), 120)
    thumb = curve([(0.3, 0.4), (0.52, 0.12), (0.56, -0.15)])
    canvas.fill(put(palm), skin)
    canvas.line(put(thumb), (0.26, 0.22, 0.14), skin)
    canvas.line(put(shift(thumb, -0.1, 0)), 0.025, line, 120)


def draw_hand_over_mouth(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw a hand in front of the mouth."""
    at = (rng.uniform(-0.25, 0.25), rng.uniform(0.75, 1.0))
    _draw_hand(canvas, person, rng, at, rng.uniform(-0.55, 0.55))


def draw_hand_at_cheek(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw a hand on the cheek; half of the mask or mouth stays visible."""
    side = choose(rng, (-1, 1))
    at = (side * rng.uniform(0.8, 1.0), rng.uniform(0.7, 1.0))
    _draw_hand(canvas, person, rng, at, -side * 0.12)


def draw_scarf(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw a scarf or a high collar around the neck, up to the chin."""
    _draw_wrap(canvas, person, rng, rng.uniform(1.05, 1.4))


def draw_scarf_over_mouth(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw a scarf pulled up over the mouth; the nose stays visible."""
    _draw_wrap(canvas, person, rng, rng.uniform(0.55, 0.8))


def _draw_wrap(canvas: Canvas, person: Person, rng: Generator, top: float) -> None:
    """Draw a wound scarf with its upper edge at `top`."""
    color, wide = sample_color(rng), person.width + rng.uniform(0.08, 0.3)
    edge = ((0, top + 0.06), (0.5, top), (wide, top - 0.18))
    half = (*edge, (wide + 0.14, 1.2), (wide, 2.0), (0, 2.3))
    outline = closed(jitter(rng, mirror_outline(half), 0.05))
    canvas.fill(shift(outline, 0, -0.05), darken(person.skin, 0.6), 90)
    canvas.fill(outline, color)
    with canvas.clip(outline):
        if rng.random() < 0.4:
            kind = choose(rng, ("stripes", "checks"))
            _pattern(canvas, kind, sample_color(rng), 1.6, (top, 2.4), rng)
        for y in np.arange(top, 2.3, rng.uniform(0.22, 0.36)).tolist():
            sag = rng.uniform(0.05, 0.4)
            fold = [(-1.4, y - sag), (rng.uniform(-0.3, 0.3), y + sag), (1.4, y - sag)]
            canvas.line(curve(fold), (0.03, 0.09, 0.03), darken(color, 0.4), 150)
    canvas.line(outline, 0.04, darken(color, 0.35), 200, loop=True)


def draw_cup(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw a cup at the lips, held by a hand."""
    color, x, y = sample_color(rng), rng.uniform(-0.15, 0.15), rng.uniform(0.55, 0.7)
    body = shift([(-0.36, y), (0.36, y), (0.28, y + 0.85), (-0.28, y + 0.85)], x, 0)
    canvas.fill(body, color)
    with canvas.clip(body):
        canvas.fill(shift(body, person.light * -0.4, 0), darken(color, 0.6), 80)
    canvas.line(body, 0.04, darken(color, 0.4), loop=True)
    canvas.fill(ellipse(x, y, 0.37, 0.07), darken(color, 0.25))
    _draw_hand(canvas, person, rng, (x + choose(rng, (-0.4, 0.4)), y + 0.75), 0.0)


def draw_nothing(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Leave the face as it is."""


# What else is in the picture, by class; repeated entries are more frequent.
_ANY = (draw_nothing,) * 22 + (draw_hand_at_cheek, draw_scarf, draw_scarf)
EXTRAS = {
    "with_mask": _ANY,
    "without_mask": (
        *_ANY, draw_hand_over_mouth, draw_hand_over_mouth, draw_scarf_over_mouth,
        draw_mask_under_chin, draw_mask_under_chin, draw_cup,
    ),
}  # fmt: skip
