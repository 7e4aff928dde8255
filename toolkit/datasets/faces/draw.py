"""The built-in source: drawn faces with and without masks.

Everything but the mask comes from the same distributions for both classes, so that neither
background, light, glasses nor noise tells them apart. Like all data stages it uses exact arithmetic
only: the same picture on every CPU.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from toolkit import progress
from toolkit.datasets.faces import coverings, hair, people
from toolkit.datasets.faces.shapes import Canvas, Pose, choose, darken, lighten, sample_color
from toolkit.errors import InputError, unknown_name
from toolkit.io.images import Pixels, encode_png, jpeg_loss
from toolkit.io.parallel import ordered_map

LABELS = ("with_mask", "without_mask")


def draw_face(label: str, index: int, *, size: int, seed: int) -> Pixels:
    """Draw picture number `index` of a class, shape [size, size, 3]; only the arguments decide.

    Raises InputError for a label outside LABELS and for a size under 16.
    """
    if label not in LABELS:
        raise unknown_name("class of synthetic faces", label, LABELS)
    if size < 16:
        raise InputError(f"synthetic faces must be at least 16 pixels wide, got {size}")
    sequence = np.random.SeedSequence([seed, LABELS.index(label), index])
    rng = np.random.default_rng(sequence)
    factor = 3 if size < 100 else 2  # drawn larger, then reduced: smooth edges
    image = _draw_background(rng, size * factor)
    _draw_portrait(Canvas(image, _sample_pose(rng, size * factor)), label, rng)
    return _apply_camera(_apply_light(image.reduce(factor), rng), rng)


def draw_images(
    counts: Mapping[str, int],
    *,
    size: int,
    seed: int,
    workers: int,
    track: progress.Track = progress.silent,
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield (path, PNG bytes), such as with_mask/000000.png: classes in order, then by number.

    A picture depends neither on `workers` nor on how many others are drawn.
    """
    jobs = [(label, index) for label in sorted(counts) for index in range(counts[label])]
    pictures = ordered_map(partial(_encode, size=size, seed=seed), jobs, workers)
    yield from track(pictures, "drawing faces", len(jobs))


def _encode(job: tuple[str, int], *, size: int, seed: int) -> tuple[PurePosixPath, bytes]:
    label, index = job
    pixels = draw_face(label, index, size=size, seed=seed)
    return PurePosixPath(label, f"{index:06d}.png"), encode_png(pixels)


def _sample_pose(rng: Generator, size: int) -> Pose:
    scale = rng.uniform(0.28, 0.37)
    return Pose(
        scale=size * scale,
        x=size * (0.5 + rng.uniform(-0.06, 0.06)),
        y=size * (0.5 + rng.uniform(-0.08, 0.06)),
        tilt=rng.uniform(-0.13, 0.13),
        yaw=rng.uniform(-0.32, 0.32),
        pitch=rng.uniform(-0.12, 0.15),
    )


def _draw_portrait(canvas: Canvas, label: str, rng: Generator) -> None:
    person = people.sample_person(rng)
    upright = Canvas(canvas.image, canvas.pose.body())
    hair.draw_back(canvas, person.hair)
    canvas.paint()
    people.draw_clothes(upright, person, rng)
    upright.paint()
    people.draw_head(canvas, person)
    people.draw_features(canvas, person, rng)
    people.draw_beard(canvas, person, rng)
    if label == "with_mask":
        coverings.draw_mask(canvas, person, rng)
    extra = choose(rng, coverings.EXTRAS[label])
    if extra is coverings.draw_mask_under_chin:
        extra(canvas, person, rng)
    people.draw_glasses(canvas, rng)
    hair.draw_front(canvas, person.hair, rng)
    if extra is not coverings.draw_mask_under_chin:
        extra(canvas, person, rng)
    canvas.paint()


# --- backgrounds ------------------------------------------------------------------------------


def _draw_background(rng: Generator, size: int) -> Image.Image:
    """Draw one of BACKGROUNDS, at times out of focus."""
    image = Image.new("RGB", (64, 64), sample_color(rng))
    choose(rng, BACKGROUNDS)(image, rng)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
    return image.resize((size, size), Image.Resampling.BILINEAR)


def _plain(image: Image.Image, rng: Generator) -> None:
    """Leave the one color."""


def _gradient(image: Image.Image, rng: Generator) -> None:
    ends = np.array([[sample_color(rng) for _ in "ab"] for _ in "ab"], dtype=np.uint8)
    image.paste(Image.fromarray(ends).resize(image.size, Image.Resampling.BILINEAR))


def _texture(image: Image.Image, rng: Generator) -> None:
    cells = int(rng.integers(3, 25))
    noise = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    cloud = Image.fromarray(noise).resize(image.size, Image.Resampling.BICUBIC)
    image.paste(Image.blend(image, cloud, rng.uniform(0.1, 0.5)))


def _stripes(image: Image.Image, rng: Generator) -> None:
    brush, second = ImageDraw.Draw(image), sample_color(rng)
    gap, slope = int(rng.integers(4, 16)), int(rng.integers(-40, 41))
    width = max(1, gap // int(rng.integers(2, 4)))
    upright = rng.random() < 0.5
    for at in range(-40, 104, gap):
        ends = [(at, 0), (at + slope, 64)] if upright else [(0, at), (64, at + slope)]
        brush.line(ends, fill=second, width=width)


def _shapes(image: Image.Image, rng: Generator) -> None:
    brush = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 12))):
        x, y, wide, tall = (int(v) for v in rng.integers((-10, -10, 6, 6), (60, 60, 40, 40)))
        shape = brush.rectangle if rng.random() < 0.5 else brush.ellipse
        shape((x, y, x + wide, y + tall), fill=sample_color(rng))


def _room(image: Image.Image, rng: Generator) -> None:
    """Draw a wall, a floor, and windows, pictures or shelves."""
    brush, wall = ImageDraw.Draw(image), sample_color(rng)
    brush.rectangle((0, int(rng.integers(38, 60)), 64, 64), fill=darken(wall, 0.4))
    for _ in range(int(rng.integers(1, 5))):
        x, y, wide, tall = (int(v) for v in rng.integers((-6, -6, 10, 8), (54, 30, 28, 28)))
        brush.rectangle((x, y, x + wide, y + tall), fill=lighten(sample_color(rng), 0.3))
        brush.rectangle((x, y, x + wide, y + tall), outline=darken(wall, 0.6), width=2)


# --- light and camera -------------------------------------------------------------------------


def _apply_light(image: Image.Image, rng: Generator) -> Pixels:
    """Apply a brightness gradient, contrast and a color cast."""
    pixels = np.asarray(image, dtype=np.float32)
    size = len(pixels)
    ramp = np.arange(size) / (size - 1) - 0.5
    across, down = rng.uniform(-0.4, 0.4, 2)
    level = (0.45 if rng.random() < 0.1 else 1.0) * rng.uniform(0.7, 1.2)
    field = level * (1 + across * ramp[None, :] + down * ramp[:, None])
    field = (field[:, :, None] * rng.uniform(0.91, 1.09, 3)).astype(np.float32)
    middle, contrast = rng.uniform(90, 150), rng.uniform(0.75, 1.15)
    return _to_pixels((pixels * contrast + middle * (1 - contrast)) * field)


def _apply_camera(pixels: Pixels, rng: Generator) -> Pixels:
    """Apply blur, low resolution, sensor noise and JPEG loss, each to a part of the pictures."""
    size = len(pixels)
    image = Image.fromarray(pixels)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(size / 128 * rng.uniform(0.4, 1.5)))
    if rng.random() < 0.15:
        few = max(16, int(size * rng.uniform(0.4, 0.8)))
        small = image.resize((few, few), Image.Resampling.BOX)
        image = small.resize((size, size), Image.Resampling.BILINEAR)
    strength = rng.uniform(1, 4) if rng.random() < 0.8 else rng.uniform(4, 14)
    quality = int(rng.integers(30, 95)) if rng.random() < 0.4 else 0
    # A sum of three even draws is close to normal, and exact.
    grain = rng.integers(0, 256, (3, *pixels.shape), dtype=np.uint8)
    total = grain[0].astype(np.float32) + grain[1] + grain[2] - 382
    noisy = _to_pixels(total * (strength / 128) + np.asarray(image))
    return jpeg_loss(noisy, quality) if quality else noisy


def _to_pixels(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Pixels:
    return (np.clip(values, 0, 255) + np.float32(0.5)).astype(np.uint8)


BACKGROUNDS: tuple[Callable[[Image.Image, Generator], None], ...] = (
    _plain, _plain, _gradient, _gradient, _texture, _stripes, _shapes, _room,
)  # fmt: skip
