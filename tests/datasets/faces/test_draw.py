"""The built-in source: drawn faces, a pure function of class, number, size and seed."""

import importlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import cross_val_predict

from tests.helpers.waiting import TIMEOUT
from toolkit.datasets.faces import coverings, draw, people, shapes
from toolkit.datasets.faces.hair import STYLES, Hair, draw_front
from toolkit.errors import InputError
from toolkit.io import images

DIGEST = """
import hashlib
from toolkit.datasets.faces.draw import LABELS, draw_face
pictures = (draw_face(c, i, size=48, seed=3) for i in range(25) for c in LABELS)
print(hashlib.sha256(b"".join(p.tobytes() for p in pictures)).hexdigest())
"""
TUNABLES = "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"  # and the C library's own choice


def drawn(counts, **options):
    """Path -> bytes of all pictures."""
    settings = {"size": 24, "seed": 1, "workers": 1} | options
    return {str(path): data for path, data in draw.draw_images(counts, **settings)}


def test_the_same_arguments_give_the_same_picture():
    first, second = (draw.draw_face("with_mask", 7, size=64, seed=5) for _ in "ab")
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    "other", [("with_mask", 8, 5), ("without_mask", 7, 5), ("with_mask", 7, 6)]
)
def test_another_number_class_or_seed_gives_another_picture(other):
    label, index, seed = other
    picture = draw.draw_face(label, index, size=32, seed=seed)
    assert not np.array_equal(picture, draw.draw_face("with_mask", 7, size=32, seed=5))


def test_names_run_by_class_then_by_number():
    """Whatever the order in which the counts are given."""
    names = list(drawn({"without_mask": 2, "with_mask": 3}))
    assert names == [
        "with_mask/000000.png",
        "with_mask/000001.png",
        "with_mask/000002.png",
        "without_mask/000000.png",
        "without_mask/000001.png",
    ]


def test_the_bytes_are_the_drawn_picture_as_png():
    data = drawn({"without_mask": 2}, size=40)["without_mask/000001.png"]
    assert images.identify(data) == "PNG"
    picture = draw.draw_face("without_mask", 1, size=40, seed=1)
    assert np.array_equal(images.decode(data), picture)


def test_a_picture_does_not_depend_on_how_many_are_drawn():
    few = drawn({"with_mask": 2, "without_mask": 1})
    many = drawn({"with_mask": 5, "without_mask": 4})
    assert few.items() <= many.items()


def test_workers_do_not_change_the_pictures():
    counts = {"with_mask": 60, "without_mask": 40}
    assert list(drawn(counts, size=16).items()) == list(drawn(counts, size=16, workers=2).items())


def test_progress_counts_every_picture():
    seen = []

    def track(items, label, total=None):
        seen.append(total)
        return items

    drawn({"with_mask": 3, "without_mask": 2}, track=track)
    assert seen == [5]


@pytest.mark.parametrize("size", [16, 17, 63, 99, 100, 224, 512])
def test_any_size_is_drawn_in_full(size):
    """Shape as asked for, and the four quarters are not left blank."""
    pixels = draw.draw_face("with_mask", 1, size=size, seed=0)
    assert pixels.shape == (size, size, 3)
    half = size // 2
    assert all(q.std() > 1 for q in (pixels[:half, :half], pixels[half:, half:]))


def test_a_larger_picture_shows_the_same_scene():
    """Reduced to 32 pixels both are alike: only noise and blur are drawn per pixel."""
    for index in range(6):
        small, large = (
            draw.draw_face("with_mask", index, size=size, seed=2).astype(float)
            for size in (64, 256)
        )
        block = [p.reshape(16, len(p) // 16, 16, -1, 3).mean((1, 3)) for p in (small, large)]
        assert np.abs(block[0] - block[1]).mean() < 8


def test_pictures_differ_from_one_another():
    assert len(set(drawn({"with_mask": 40, "without_mask": 40}).values())) == 80


@pytest.fixture(scope="module")
def gallery():
    """200 pictures of each class, shape [2, 200, 32, 32, 3], from 0 to 1."""
    return np.array(
        [
            [draw.draw_face(label, i, size=32, seed=77) / 255 for i in range(200)]
            for label in draw.LABELS
        ]
    )


def brightness(picture):
    """Mean of all pixels."""
    return [picture.mean()]


def color(picture):
    """Mean of each channel."""
    return picture.mean((0, 1))


def histogram(picture):
    """Share of the pixels in four steps of each channel."""
    counts = [np.histogram(picture[..., c], bins=4, range=(0, 1))[0] for c in range(3)]
    return np.concatenate(counts) / picture[..., 0].size


def frame(picture):
    """Mean and spread of the outermost columns."""
    sides = picture[:, [0, 1, 2, -3, -2, -1]]
    return np.concatenate([sides.mean((0, 1)), sides.std((0, 1))])


@pytest.mark.parametrize(
    ("feature", "most"), [(brightness, 0.65), (color, 0.65), (histogram, 0.65), (frame, 0.6)]
)
def test_color_alone_does_not_give_the_class_away(gallery, feature, most):
    """Cross-validated balanced accuracy of a linear model, where .5 is a guess.

    A mask changes the color of a fifth of the picture, so that the whole picture's is a weak hint;
    the background's is none.
    """
    features = np.array([feature(p) for p in gallery.reshape(-1, 32, 32, 3)])
    actual = np.repeat([0, 1], 200)
    predicted = cross_val_predict(LogisticRegression(C=100, max_iter=2000), features, actual, cv=10)
    assert balanced_accuracy_score(actual, predicted) <= most


def test_the_classes_differ_around_the_mouth_only(gallery):
    """Light, pose and background are shared: the mean pictures agree in the upper quarter."""
    difference = np.abs(gallery[0].mean(0) - gallery[1].mean(0)).mean(-1)
    assert difference[18:25, 12:20].mean() > 1.5 * difference[:8].mean()


def painted(paint):
    """Whether `paint` changes a blank canvas."""
    image = Image.new("RGB", (96, 96), (1, 2, 3))
    rng = np.random.default_rng(0)
    pose = shapes.Pose(scale=30, x=48, y=48, tilt=0.1, yaw=0.2, pitch=0.1)
    canvas = shapes.Canvas(image, pose)
    paint(canvas, people.sample_person(rng), rng)
    canvas.paint()
    return image.getcolors() != [(96 * 96, (1, 2, 3))]


@pytest.mark.parametrize("style", STYLES)
def test_every_hair_style_but_bald_is_seen(style):
    hair = Hair(style, "", (200, 0, 0))
    assert painted(lambda canvas, _, rng: draw_front(canvas, hair, rng)) == (style != "bald")


@pytest.mark.parametrize("extra", sorted(set(sum(coverings.EXTRAS.values(), ())), key=str))
def test_every_extra_is_seen(extra):
    assert painted(extra) == (extra is not coverings.draw_nothing)


def test_a_clip_protects_what_lies_outside():
    image = Image.new("RGB", (40, 40))
    canvas = shapes.Canvas(image, shapes.Pose(10, 20, 20, 0, 0, 0))
    with canvas.clip(np.array([(-1.0, -1.0), (0.9, -1.0), (0.9, 0.9), (-1.0, 0.9)])):
        canvas.fill(shapes.ellipse(0, 0, 2, 2), (255, 0, 0))
    canvas.paint()
    assert image.getbbox() == (10, 10, 30, 30)


def test_inside_a_clip_each_pixel_is_as_on_the_whole_image():
    """Wherever the outline lies, and however far the shapes reach beyond it."""
    rng = np.random.default_rng(4)
    for _ in range(100):
        outline, *corners = rng.uniform(-2, 6, (4, 5, 2))
        colors = [tuple(color) for color in rng.integers(0, 256, (3, 3)).tolist()]
        image = Image.new("RGB", (60, 40))
        canvas = shapes.Canvas(image, shapes.Pose(10, 0, 0, 0, 0, 0))
        with canvas.clip(outline):
            for points, color in zip(corners, colors, strict=True):
                canvas.fill(points, color, 90)
        canvas.paint()
        whole, mask = Image.new("RGB", (60, 40)), Image.new("L", (60, 40))
        brush = ImageDraw.Draw(whole, "RGBA")
        for points, color in zip(corners, colors, strict=True):
            brush.polygon(np.floor(points * 10 + 0.5).ravel().tolist(), fill=(*color, 90))
        ImageDraw.Draw(mask).polygon(np.floor(outline * 10 + 0.5).ravel().tolist(), fill=255)
        expected = Image.composite(whole, Image.new("RGB", (60, 40)), mask)
        assert image.tobytes() == expected.tobytes()


def test_an_unknown_class_is_refused_with_the_valid_ones():
    with pytest.raises(InputError, match=r"'mask'.*with_mask, without_mask"):
        draw.draw_face("mask", 0, size=32, seed=0)


def test_too_small_a_size_is_refused():
    with pytest.raises(InputError, match="at least 16 pixels wide, got 15"):
        draw.draw_face("with_mask", 0, size=15, seed=0)


def test_a_plainer_cpu_draws_the_same_bytes():
    """numpy without the instructions that it chooses at run time, as on an older machine."""
    umath = importlib.import_module("numpy._core._multiarray_umath")
    chosen = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    if not chosen:
        pytest.skip("this CPU has none of the instructions that numpy chooses at run time")
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(chosen), "GLIBC_TUNABLES": TUNABLES}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=os.environ | extra,
            capture_output=True,
            check=True,
            timeout=TIMEOUT,
        ).stdout
        for extra in ({}, plain)
    ]
    assert outputs[0] == outputs[1]
