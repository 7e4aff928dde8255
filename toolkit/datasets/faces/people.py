"""People: head, features, beards, glasses and clothes, painted on a Canvas."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from toolkit.datasets.faces.hair import Hair, sample_hair
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

SKINS: tuple[Color, ...] = (
    (250, 226, 208), (243, 208, 182), (232, 188, 152), (215, 165, 122), (190, 136, 94),
    (155, 104, 68), (118, 76, 50), (82, 54, 40), (58, 40, 32),
)  # fmt: skip
IRISES: tuple[Color, ...] = (
    (62, 40, 26), (62, 40, 26), (96, 66, 34), (70, 110, 150), (84, 120, 84),
)  # fmt: skip
LIPS: tuple[Color, ...] = ((190, 80, 84), (170, 66, 66), (205, 100, 100), (200, 30, 60))
FRAMES: tuple[Color, ...] = (
    (25, 25, 28), (25, 25, 28), (96, 58, 34), (170, 140, 80), (150, 30, 40),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Traits that all parts of one person have in common; lengths in face coordinates."""

    skin: Color
    hair: Hair
    cloth: Color
    width: float
    jaw: float
    chin: float
    light: int  # the side that the light comes from: -1 or 1

    @property
    def head(self) -> Points:
        """The outline of the head, shape [n, 2]."""
        w, chin = self.width, self.chin
        half = (
            (0, -1.45), (0.52 * w, -1.33), (0.9 * w, -0.8), (0.99 * w, -0.15), (0.94 * w, 0.4),
            (self.jaw, 0.92), (0.34, chin - 0.07), (0, chin),
        )  # fmt: skip
        return closed(mirror_outline(half))


def sample_person(rng: Generator) -> Person:
    """Sample a person."""
    tone = rng.uniform(0, len(SKINS) - 1.001)
    skin = blend(SKINS[int(tone)], SKINS[int(tone) + 1], tone - int(tone))
    warmth = choose(rng, ((255, 190, 150), (230, 200, 120), (255, 150, 150)))
    return Person(
        skin=blend(skin, warmth, rng.uniform(0, 0.12)),
        hair=sample_hair(rng),
        cloth=sample_color(rng),
        width=rng.uniform(0.86, 1.04),
        jaw=rng.uniform(0.62, 0.82),
        chin=rng.uniform(1.2, 1.45),
        light=choose(rng, (-1, 1)),
    )


def draw_clothes(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw neck, shoulders and a neckline."""
    neck = rng.uniform(0.42, 0.62)
    skin = mirror_outline([(0, 0.5), (neck, 0.5), (neck, 1.7), (neck + 0.5, 2.2), (0, 2.6)])
    canvas.fill(skin, person.skin)
    shadow = mirror_outline([(0, 1), (neck, 1), (neck, 1.35), (neck * 0.6, 1.62), (0, 1.68)])
    canvas.fill(closed(shadow), darken(person.skin, 0.5), 150)
    deep = rng.uniform(1.72, 2.3)
    top = [(0, deep), (neck * 0.85, 1.66), (neck + 0.25, 1.72), (1.7, 2.1), (2.3, 2.6), (2.5, 5)]
    shirt = mirror_outline([*top, (0, 5)])
    canvas.fill(shirt, person.cloth)
    kind, second = choose(rng, ("plain", "plain", "stripes", "collar", "zip")), sample_color(rng)
    if kind == "stripes":
        with canvas.clip(shirt):
            for y in np.arange(1.5, 4.5, rng.uniform(0.25, 0.6)).tolist():
                canvas.line(curve([(-2.6, y + 0.3), (0, y), (2.6, y + 0.3)]), 0.12, second)
    if kind == "collar":
        for side in (-1, 1):
            flap = np.array([(0.02, deep), (0.5, 1.5), (0.8, 1.78), (0.45, 2.2)]) * (side, 1)
            canvas.fill(flap, lighten(person.cloth, 0.35))
            canvas.line(flap, 0.03, darken(person.cloth, 0.3), loop=True)
    if kind == "zip":
        canvas.line(np.array([(0, deep), (0, 5.0)]), 0.1, second)
    canvas.line(mirror_outline(top)[: len(top)], 0.05, darken(person.cloth, 0.3))


def draw_head(canvas: Canvas, person: Person) -> None:
    """Draw ears and head, with light and shadow."""
    for side in (-1, 1):
        x = side * (person.width + 0.02) - 0.15 * canvas.pose.yaw
        canvas.fill(ellipse(x, 0.05, 0.16, 0.3), darken(person.skin, 0.12))
        canvas.fill(ellipse(x, 0.07, 0.08, 0.18), darken(person.skin, 0.3))
    outline = person.head
    canvas.fill(outline, person.skin)
    with canvas.clip(outline):
        for step in (0.0, 0.14, 0.28, 0.42):
            shade = shift(outline, -person.light * (1.75 - step), 0.15)
            canvas.fill(shade, darken(person.skin, 0.6), 26)
        canvas.soft((person.light * 0.45, -0.85, 0.6, 0.4), lighten(person.skin, 0.5), 90)
        for side in (-1, 1):
            canvas.soft((side * 0.55, 0.38, 0.34, 0.26), (225, 90, 90), 60)


def draw_features(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw eyes, brows, nose and mouth."""
    apart, up = rng.uniform(0.36, 0.46), rng.uniform(-0.3, -0.16)
    wide, tall = rng.uniform(0.17, 0.24), rng.uniform(0.03, 0.12)
    look, iris = rng.uniform(-0.07, 0.07), choose(rng, IRISES)
    arch, thick = rng.uniform(-0.06, 0.1), rng.uniform(0.05, 0.14)
    for side in (-1, 1):
        x = side * apart
        canvas.soft((x, up - 0.02, wide * 1.5, 0.24), darken(person.skin, 0.5), 70)
        lid = [(x - wide, up + 0.01), (x, up - tall * 1.2), (x + wide, up)]
        eye = closed([*lid, (x, up + tall)])
        canvas.fill(eye, (240, 236, 232), relief=1)
        with canvas.clip(eye, relief=1):
            canvas.fill(ellipse(x + look, up, 0.11, 0.12), iris, relief=1)
            canvas.fill(ellipse(x + look, up, 0.055, 0.06), (15, 12, 12), relief=1)
            canvas.fill(ellipse(x + look + 0.04, up - 0.04, 0.025, 0.03), (255,) * 3, relief=1)
        canvas.line(curve(lid), (0.03, 0.06, 0.04), darken(person.skin, 0.75), relief=1)
        brow = [(x - side * 0.2, up - 0.2), (x, up - 0.25 - arch), (x + side * 0.26, up - 0.18)]
        hair = darken(person.hair.color, 0.35)
        canvas.line(curve(brow), (thick, thick, 0.03), hair, 215, relief=1)
    _nose(canvas, person, rng)
    _mouth(canvas, person, rng)


def _nose(canvas: Canvas, person: Person, rng: Generator) -> None:
    wide, low, away = rng.uniform(0.14, 0.26), rng.uniform(0.3, 0.44), -person.light
    bridge = [(away * 0.09, -0.25), (away * 0.1, 0.1), (away * wide, low)]
    canvas.line(curve(bridge), (0.02, 0.06, 0.05), darken(person.skin, 0.4), 130, relief=1.2)
    tip = (person.light * 0.04, low - 0.06, wide * 0.7, 0.16)
    canvas.fill(ellipse(*tip), lighten(person.skin, 0.3), 110, relief=1.3)
    under = [(-wide, low), (-wide * 0.5, low + 0.07), (wide * 0.5, low + 0.07), (wide, low)]
    canvas.line(curve(under), 0.04, darken(person.skin, 0.45), 190, relief=1.25)
    for side in (-1, 1):
        nostril = ellipse(side * wide * 0.5, low + 0.02, 0.05, 0.035)
        canvas.fill(nostril, darken(person.skin, 0.7), 220, relief=1.25)


def _mouth(canvas: Canvas, person: Person, rng: Generator) -> None:
    wide, smile = rng.uniform(0.22, 0.42), rng.uniform(-0.09, 0.15)
    opened = max(0.0, rng.uniform(-0.2, 0.2))
    y, full = rng.uniform(0.74, 0.84), rng.uniform(0.05, 0.1)
    lips = blend(darken(person.skin, 0.25), choose(rng, LIPS), rng.uniform(0.25, 0.7))
    left, right, low = (-wide, y - smile), (wide, y - smile), y + smile * 0.5 + opened
    bow = [(-wide * 0.4, y - full), (0, y - full * 0.7), (wide * 0.4, y - full)]
    canvas.fill(closed([left, *bow, right, (0, low + full)]), lips, relief=0.95)
    if opened > 0.03:
        inside = closed([left, (0, y), right, (0, low)])
        canvas.fill(inside, (70, 22, 26), relief=0.95)
        with canvas.clip(inside, relief=0.95):
            canvas.fill(ellipse(0, y, wide * 0.8, opened * 0.5), (244, 240, 230), relief=0.95)
    else:
        canvas.line(curve([left, (0, low), right]), 0.045, darken(lips, 0.55), relief=0.95)


def draw_beard(canvas: Canvas, person: Person, rng: Generator) -> None:
    """Draw stubble, a full beard, a goatee or a moustache on a third of the people."""
    kind = choose(rng, ("none",) * 10 + ("stubble", "full", "full", "goatee", "moustache"))
    color, w, chin = darken(person.hair.color, 0.15), person.width, person.chin
    alpha = 80 if kind == "stubble" else 245
    if kind in ("full", "stubble"):
        long = 0.0 if kind == "stubble" else rng.uniform(0.02, 0.3)
        half = (
            (0, 0.93), (0.3, 0.92), (0.42, 0.72), (0.3, 0.6), (0.45, 0.55), (0.75, 0.6),
            (0.95 * w, 0.1), (w, 0.5), (person.jaw + 0.08, 1.0), (0.38, chin + long),
            (0, chin + long),
        )  # fmt: skip
        canvas.fill(closed(mirror_outline(jitter(rng, half, 0.02))), color, alpha, relief=0.4)
    if kind == "goatee":
        tuft = ((0, 0.98), (0.2, 0.98), (0.28, 1.15), (0.2, chin + 0.1), (0, chin + 0.16))
        canvas.fill(closed(mirror_outline(tuft)), color, alpha, relief=0.7)
    if kind != "none":
        tips = [(-0.4, 0.78), (-0.18, 0.6), (0, 0.62), (0.18, 0.6), (0.4, 0.78)]
        canvas.line(curve(tips), (0.04, 0.17, 0.12, 0.17, 0.04), color, alpha, relief=1)


def draw_glasses(canvas: Canvas, rng: Generator) -> None:
    """Draw glasses on a third of the people, for one in four of these sunglasses."""
    if rng.random() > 0.34:
        return
    sun, frame = rng.random() < 0.25, choose(rng, FRAMES)
    rx, ry, square = rng.uniform(0.27, 0.35), rng.uniform(0.2, 0.3), rng.random() < 0.5
    thick = rng.uniform(0.03, 0.09)
    corner = 0.95 if square else 0.72
    for side in (-1, 1):
        x, y = side * 0.41, -0.2
        c, d = rx * corner, ry * corner
        ring = ((rx, 0), (c, d), (0, ry), (-c, d), (-rx, 0), (-c, -d), (0, -ry), (c, -d))
        lens = closed(shift(ring, x, y))
        tint = (18, 18, 22) if sun else (225, 238, 245)
        canvas.fill(lens, tint, 235 if sun else 45, relief=1.1)
        glare = np.array([(x - 0.15, y + 0.08), (x + 0.02, y - 0.14)])
        canvas.line(glare, 0.05, (255, 255, 255), 70, relief=1.1)
        canvas.line(lens, thick, frame, loop=True, relief=1.1)
        temple = np.array([(x + side * rx, y - 0.04), (side * 1.02, -0.12)])
        canvas.line(temple, thick, frame, relief=0.6)
    bridge = curve([(-0.41 + rx, -0.22), (0, -0.28), (0.41 - rx, -0.22)])
    canvas.line(bridge, thick, frame, relief=1.1)
