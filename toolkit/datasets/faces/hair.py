"""Hair and headwear, painted on a Canvas."""

from dataclasses import dataclass

from numpy.random import Generator

from toolkit.datasets.faces.shapes import (
    Canvas,
    Color,
    Pairs,
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
)

COLORS: tuple[Color, ...] = (
    (28, 24, 24), (28, 24, 24), (28, 24, 24), (40, 30, 28), (52, 36, 28), (52, 36, 28),
    (84, 54, 34), (84, 54, 34), (120, 78, 44), (120, 78, 44), (168, 118, 66), (214, 176, 110),
    (226, 196, 140), (150, 66, 34), (128, 126, 126), (214, 212, 208), (96, 60, 110), (60, 110, 150),
)  # fmt: skip

# Right halves: the hair behind the head, the hair in front (outer edge, then the hairline back to
# the middle), and whether it curls.
BOB = ((0, -1.6), (0.8, -1.42), (1.22, -0.6), (1.28, 0.3), (1.15, 0.95), (0.6, 1.05), (0, 1.0))
LONG = ((0, -1.6), (0.8, -1.42), (1.22, -0.6), (1.3, 0.6), (1.4, 1.6), (1.25, 2.5), (0, 2.6))
AFRO = ((0, -2.1), (0.95, -1.88), (1.5, -1.1), (1.58, -0.3), (1.3, 0.5), (0.7, 0.8), (0, 0.8))
BUZZ = (
    (0, -1.53), (0.58, -1.38), (0.98, -0.8), (1.03, -0.3), (0.93, -0.5), (0.75, -0.92), (0, -1.05),
)  # fmt: skip
SHORT = (
    (0, -1.7), (0.6, -1.57), (1.04, -1.05), (1.1, -0.45), (1.03, -0.1), (0.92, -0.4),
    (0.84, -0.75), (0.5, -0.95), (0, -1.0),
)  # fmt: skip
QUIFF = (
    (0, -1.98), (0.7, -1.85), (1.08, -1.2), (1.07, -0.35), (0.95, -0.5), (0.82, -0.85),
    (0.4, -1.0), (0, -1.05),
)  # fmt: skip
FRINGE = (
    (0, -1.66), (0.65, -1.53), (1.1, -0.95), (1.14, -0.1), (1.0, 0.05), (0.92, -0.35),
    (0.6, -0.55), (0.3, -0.58), (0, -0.55),
)  # fmt: skip
CURTAIN = (
    (0, -1.64), (0.65, -1.54), (1.12, -1.0), (1.2, -0.1), (1.14, 0.6), (0.98, 0.5),
    (0.93, -0.2), (0.72, -0.8), (0.3, -1.15), (0, -1.28),
)  # fmt: skip
STYLES: dict[str, tuple[Pairs, Pairs, bool]] = {
    "bald": ((), (), False),
    "buzz": ((), BUZZ, False),
    "short": ((), SHORT, False),
    "quiff": ((), QUIFF, False),
    "curly": ((), QUIFF, True),
    "afro": (AFRO, SHORT, True),
    "bob": (BOB, FRINGE, False),
    "bob parted": (BOB, CURTAIN, False),
    "long": (LONG, CURTAIN, False),
    "long fringe": (LONG, FRINGE, False),
    "long curly": (LONG, CURTAIN, True),
    "bun": ((), SHORT, False),
}
DOME = ((0, -1.8), (0.6, -1.7), (1.05, -1.2), (1.1, -0.66), (0.6, -0.76), (0, -0.85))
HIJAB = (
    (0, -1.68), (0.7, -1.54), (1.14, -0.9), (1.2, 0.0), (1.12, 0.9), (1.3, 1.7), (1.3, 2.3),
    (0, 2.5), (0, 1.36), (0.5, 1.2), (0.84, 0.7), (0.92, 0.0), (0.8, -0.75), (0.45, -1.05),
    (0, -1.1),
)  # fmt: skip
HATS: dict[str, Pairs] = {"cap": DOME, "beanie": DOME, "hijab": HIJAB}


@dataclass(frozen=True)
class Hair:
    """A key of STYLES, a key of HATS or "", and the hair's color."""

    style: str
    hat: str
    color: Color


def sample_hair(rng: Generator) -> Hair:
    """Sample hair; a fifth of the people wear something on it."""
    hat = choose(rng, tuple(HATS)) if rng.random() < 0.2 else ""
    color = blend(choose(rng, COLORS), (90, 60, 40), rng.uniform(0, 0.2))
    return Hair(choose(rng, tuple(STYLES)), hat, color)


def draw_back(canvas: Canvas, hair: Hair) -> None:
    """Draw the hair behind the head, to be called before neck and head are drawn."""
    outline = STYLES[hair.style][0]
    if outline and hair.hat != "hijab":
        canvas.fill(closed(mirror_outline(outline)), darken(hair.color, 0.25))
    if hair.style == "bun" and not hair.hat:
        canvas.fill(ellipse(0, -1.78, 0.42, 0.36), darken(hair.color, 0.12))


def draw_front(canvas: Canvas, hair: Hair, rng: Generator) -> None:
    """Draw the hair in front, with strands and curls, and a hat over it."""
    half, curly = STYLES[hair.style][1:]
    if half and hair.hat != "hijab":
        outline = closed(jitter(rng, mirror_outline(jitter(rng, half, 0.04)), 0.04))
        canvas.fill(outline, hair.color)
        outer = outline[:, 0] * outline[:, 0] + outline[:, 1] * outline[:, 1] * 0.45 > 0.95
        for x, y in outline[outer][::2].tolist() if curly else ():
            size = rng.uniform(0.12, 0.2)
            canvas.fill(ellipse(x, y, size, size), darken(hair.color, rng.uniform(0, 0.2)))
        with canvas.clip(outline):
            for shade in (lighten(hair.color, 0.25), darken(hair.color, 0.35)) * 3:
                x = rng.uniform(-0.9, 0.9)
                strand = [(x * 0.5, -1.75), (x, -1.2), (x * 1.25, -0.2)]
                canvas.line(curve(strand), (0.02, 0.08, 0.02), shade, 110)
    if hair.hat:
        _hat(canvas, hair.hat, sample_color(rng))


def _hat(canvas: Canvas, hat: str, color: Color) -> None:
    canvas.fill(closed(mirror_outline(HATS[hat])), color)
    if hat == "cap":
        brim = [(-1.1, -0.72), (0, -1.0), (1.1, -0.72), (0.75, -0.5), (0, -0.66), (-0.75, -0.5)]
        canvas.fill(closed(brim), darken(color, 0.35), relief=0.4)
    if hat == "beanie":
        rim = [(-1.08, -0.62), (0, -0.86), (1.08, -0.62)]
        canvas.line(curve(rim), 0.34, darken(color, 0.2))
    if hat == "hijab":
        for x in (-1, 1):
            fold = [(x * 0.5, -1.35), (x * 1.04, -0.5), (x * 1.0, 0.7), (-x * 0.3, 1.75)]
            canvas.line(curve(fold), (0.02, 0.06, 0.06, 0.02), darken(color, 0.35), 170)
