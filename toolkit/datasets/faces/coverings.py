"""What may hide the lower face: masks, and what is no mask (hands, scarves, cups)."""

import numpy as np

from toolkit.datasets.faces.people import Person
from toolkit.datasets.faces.shapes import (  # fmt: skip
    Canvas,
    Colour,
    Points,
    any_colour,
    blend,
    closed,
    curve,
    darken,
    ellipse,
    jitter,
    lighten,
    mirror_outline,
    pick_option,
    shift,
)


def mask(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """A mask over mouth and nose, of one of MASKS, with its straps."""
    kind, w = pick_option(rng, MASKS), who.width
    top, side = rng.uniform(-0.06, 0.22), rng.uniform(0.05, 0.3)
    low = who.chin + rng.uniform(-0.1, 0.08)
    half = np.array([
        (0, top), (0.24, top + 0.04), (0.55, side), (0.88 * w, side + 0.04), (0.93 * w, side + 0.2),
        (who.jaw + 0.06, 0.88), (0.36, low - 0.05), (0, low),
    ])  # fmt: skip
    if kind == "pointed":
        half[0], half[5] = (0, top - 0.1), (who.jaw - 0.08, 0.95)
    ink = _ink(kind, who, rng)
    _straps(canvas, who, rng, (side + 0.08, 0.84))
    outline = closed(jitter(rng, mirror_outline(half), 0.02))
    _cloth(canvas, who, outline, kind, ink, rng)


def under_chin(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """The same masks pulled down: the chin at most is covered."""
    kind, top = pick_option(rng, MASKS), rng.uniform(0.98, 1.12)
    low = who.chin + rng.uniform(0.12, 0.35)
    jaw = ((who.jaw + 0.04, 0.75), (who.jaw + 0.1, 0.95))
    half = ((0, top), (0.35, top - 0.02), *jaw, (0.45, low), (0, low))
    _straps(canvas, who, rng, (0.72, 0.8))
    _cloth(canvas, who, closed(mirror_outline(half)), kind, _ink(kind, who, rng), rng)


def _ink(kind: str, who: Person, rng: np.random.Generator) -> Colour:
    if kind == "surgical":
        return lighten(pick_option(rng, SURGICAL), rng.uniform(0, 0.3))
    if rng.random() < 0.2:
        return blend(who.skin, any_colour(rng), 0.15)
    return pick_option(rng, (any_colour(rng), any_colour(rng), (238, 238, 236), (30, 30, 34)))


def _straps(canvas: Canvas, who: Person, rng: np.random.Generator, at: tuple[float, float]) -> None:
    ink = pick_option(rng, ((240, 240, 240), (240, 240, 240), (40, 40, 44)))
    for side in (-1, 1):
        for y, ear in zip(at, (-0.12, 0.26), strict=True):
            start, end = (side * 0.84 * who.width, y), (side * (who.width + 0.05), ear)
            canvas.line(np.array([start, end]), 0.035, ink, 230, relief=0.5)


def _cloth(
    canvas: Canvas,
    who: Person,
    outline: Points,
    kind: str,
    ink: Colour,
    rng: np.random.Generator,
) -> None:
    """Fill a mask's outline: pattern, pleats or a fold, light and shadow, an edge."""
    x, y = outline[:, 0], outline[:, 1]
    top, low = float(y.min()), float(y.max())
    canvas.fill(shift(outline, 0, 0.05), darken(who.skin, 0.6), 90, relief=0.6)
    canvas.fill(outline, ink, relief=0.85)
    with canvas.clip(outline, relief=0.85):
        if kind in ("stripes", "checks", "dots"):
            _pattern(canvas, kind, any_colour(rng), float(x.max()), (top, low), rng)
        if kind == "surgical":
            for share in (0.3, 0.5, 0.7):
                level = top + (low - top) * share
                pleat = curve([(-0.95, level - 0.04), (0, level + 0.06), (0.95, level - 0.04)])
                canvas.line(pleat, 0.05, darken(ink, 0.3), 170, relief=0.85)
                canvas.line(shift(pleat, 0, 0.05), 0.03, lighten(ink, 0.5), 150, relief=0.85)
        if kind in ("pointed", "plain"):
            ridge = curve([(0, top), (who.lit * 0.05, (top + low) / 2), (0, low)])
            canvas.line(ridge, 0.05, darken(ink, 0.35), 140, relief=1)
        for step in (0.0, 0.16, 0.32):
            canvas.fill(
                shift(outline, -who.lit * (1.5 - step), 0.2), darken(ink, 0.7), 34, relief=0.4
            )
        canvas.soft((who.lit * 0.3, top + 0.4, 0.45, 0.3), lighten(ink, 0.6), 70)
    canvas.line(outline, 0.04, darken(ink, 0.25), 200, relief=0.85, loop=True)


def _pattern(
    canvas: Canvas,
    kind: str,
    ink: Colour,
    wide: float,
    rows: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    gap = rng.uniform(0.16, 0.3)
    across = np.arange(-wide, wide, gap).tolist()
    down = np.arange(rows[0], rows[1], gap).tolist()
    if kind == "dots":
        for x in across:
            for y in down:
                canvas.fill(ellipse(x, y, gap * 0.28, gap * 0.28), ink, relief=0.85)
        return
    for y in down:
        canvas.line(curve([(-wide, y), (0, y + 0.05), (wide, y)]), gap * 0.4, ink, 210, relief=0.85)
    for x in across if kind == "checks" else ():
        canvas.line(np.array([(x, rows[0]), (x, rows[1])]), gap * 0.4, ink, 150, relief=0.85)


def hand(
    canvas: Canvas, who: Person, rng: np.random.Generator, at: tuple[float, float], turn: float
) -> None:
    """A hand at `at`, its fingers up and turned by `turn` (tangent of half the angle)."""
    skin, line = blend(who.skin, (200, 90, 80), 0.08), darken(who.skin, 0.45)
    cos, sin = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
    size, flip = rng.uniform(0.85, 1.15), pick_option(rng, (-1, 1))

    def put(points: Points) -> Points:
        x, y = points[:, 0] * size * flip, points[:, 1] * size
        return np.stack([x * cos - y * sin + at[0], x * sin + y * cos + at[1]], axis=1)

    arm = [(-0.3, 0.5), (0.3, 0.5), (0.42, 1.3), (0.5, 3.2), (-0.5, 3.2), (-0.42, 1.3)]
    canvas.fill(put(np.array([*arm[:2], (0.34, 1.0), (-0.34, 1.0)])), skin)
    if rng.random() < 0.7:
        canvas.fill(put(np.array([(-0.37, 0.85), (0.37, 0.85), *arm[2:]])), who.cloth)
    palm = closed(
        [
            (-0.34, -0.2),
            (0, -0.3),
            (0.34, -0.2),
            (0.36, 0.3),
            (0.26, 0.7),
            (-0.26, 0.7),
            (-0.36, 0.3),
        ]
    )
    spread = rng.uniform(0.0, 0.09)
    fingers = [
        ((-0.27, -0.1), -0.62),
        ((-0.09, -0.15), -0.8),
        ((0.09, -0.15), -0.76),
        ((0.27, -0.1), -0.55),
    ]
    for (x, y), tip in fingers:
        end = x * (1 + spread * 6)
        finger = closed(
            [
                (x - 0.1, y + 0.2),
                (end - 0.09, tip + 0.1),
                (end, tip),
                (end + 0.09, tip + 0.1),
                (x + 0.1, y + 0.2),
            ]
        )
        canvas.fill(put(finger), skin)
        canvas.line(put(finger), 0.025, line, 150, loop=True)
        canvas.fill(put(ellipse(end, tip + 0.08, 0.05, 0.06)), lighten(skin, 0.35), 120)
    thumb = curve([(0.3, 0.4), (0.52, 0.12), (0.56, -0.15)])
    canvas.fill(put(palm), skin)
    canvas.line(put(thumb), (0.26, 0.22, 0.14), skin)
    canvas.line(put(shift(thumb, -0.1, 0)), 0.025, line, 120)


def hand_over_mouth(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """A hand in front of the mouth."""
    at = (rng.uniform(-0.25, 0.25), rng.uniform(0.75, 1.0))
    hand(canvas, who, rng, at, rng.uniform(-0.55, 0.55))


def hand_at_cheek(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """A hand that holds the cheek: half of a mask, or of a mouth, stays in sight."""
    side = pick_option(rng, (-1, 1))
    hand(canvas, who, rng, (side * rng.uniform(0.8, 1.0), rng.uniform(0.7, 1.0)), -side * 0.12)


def scarf(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """A scarf or a high collar around the neck, up to the chin."""
    wrap(canvas, who, rng, rng.uniform(1.05, 1.4))


def scarf_over_mouth(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """A scarf pulled up over the mouth; the nose is free."""
    wrap(canvas, who, rng, rng.uniform(0.55, 0.8))


def wrap(canvas: Canvas, who: Person, rng: np.random.Generator, top: float) -> None:
    """A wound scarf whose upper edge is at `top`."""
    ink, wide = any_colour(rng), who.width + rng.uniform(0.08, 0.3)
    edge = ((0, top + 0.06), (0.5, top), (wide, top - 0.18))
    half = (*edge, (wide + 0.14, 1.2), (wide, 2.0), (0, 2.3))
    outline = closed(jitter(rng, mirror_outline(half), 0.05))
    canvas.fill(shift(outline, 0, -0.05), darken(who.skin, 0.6), 90)
    canvas.fill(outline, ink)
    with canvas.clip(outline):
        if rng.random() < 0.4:
            kind = pick_option(rng, ("stripes", "checks"))
            _pattern(canvas, kind, any_colour(rng), 1.6, (top, 2.4), rng)
        for y in np.arange(top, 2.3, rng.uniform(0.22, 0.36)).tolist():
            sag = rng.uniform(0.05, 0.4)
            fold = [(-1.4, y - sag), (rng.uniform(-0.3, 0.3), y + sag), (1.4, y - sag)]
            canvas.line(curve(fold), (0.03, 0.09, 0.03), darken(ink, 0.4), 150)
    canvas.line(outline, 0.04, darken(ink, 0.35), 200, loop=True)


def cup(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """A cup at the lips, held by a hand."""
    ink, x, y = any_colour(rng), rng.uniform(-0.15, 0.15), rng.uniform(0.55, 0.7)
    body = shift([(-0.36, y), (0.36, y), (0.28, y + 0.85), (-0.28, y + 0.85)], x, 0)
    canvas.fill(body, ink)
    with canvas.clip(body):
        canvas.fill(shift(body, who.lit * -0.4, 0), darken(ink, 0.6), 80)
    canvas.line(body, 0.04, darken(ink, 0.4), loop=True)
    canvas.fill(ellipse(x, y, 0.37, 0.07), darken(ink, 0.25))
    hand(canvas, who, rng, (x + pick_option(rng, (-0.4, 0.4)), y + 0.75), 0.0)


def no_covering(canvas: Canvas, who: Person, rng: np.random.Generator) -> None:
    """Leave the face as it is."""


SURGICAL: tuple[Colour, ...] = (
    (120, 180, 215), (120, 180, 215), (110, 190, 175), (235, 240, 242), (228, 172, 182),
    (66, 68, 76), (206, 172, 144), (170, 120, 90),
)  # fmt: skip
MASKS = ("surgical",) * 4 + ("plain", "plain", "pointed", "stripes", "checks", "dots")

# What else is in the picture, by class; repeated entries are more frequent.
EXTRAS = {
    "with_mask": (no_covering,) * 22 + (hand_at_cheek, scarf, scarf),
    "without_mask": (no_covering,) * 22
    + (hand_at_cheek, scarf, scarf)
    + (hand_over_mouth, hand_over_mouth, scarf_over_mouth, under_chin, under_chin, cup),
}
