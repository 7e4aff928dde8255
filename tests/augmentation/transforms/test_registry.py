"""The toolkit's own transforms: replay, the rules of their arguments, and torchvision as oracle."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as published
from torchvision.transforms import functional

from toolkit.augmentation.transforms import registry
from toolkit.augmentation.transforms.policy import PolicyEntry
from toolkit.errors import InputError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(30, 220, (128, 128, 3), dtype=np.uint8)
SMOOTH = np.array(
    Image.fromarray(RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((128, 128))
)
WIDE = RNG.integers(0, 256, (37, 90, 3), dtype=np.uint8)
IMAGES = [NOISE, SMOOTH, WIDE]


def drawn(name, seed, pixels, **arguments):
    rng, full = np.random.default_rng(seed), PolicyEntry(name, arguments=arguments).full_arguments
    return registry.find_transform(name).sample(rng, Image.fromarray(pixels), **full)


def applied(name, pixels, params):
    return np.asarray(registry.find_transform(name).apply(Image.fromarray(pixels), params))


def torchvision_blur(image, p):
    return functional.gaussian_blur(image, [3, 3], [p["sigma"]] * 2)


def affine(image, translate=(0, 0), shear=(0.0, 0.0)):
    return functional.affine(image, 0.0, list(translate), 1.0, list(shear))


def torchvision_crop(image, p):
    box = (p["top"], p["left"], p["height"], p["width"])
    return functional.resized_crop(image, *box, [image.height, image.width])


ORACLES = {
    "identity": lambda image, _p: image,
    "horizontal_flip": lambda image, p: functional.hflip(image) if p["applied"] else image,
    "vertical_flip": lambda image, p: functional.vflip(image) if p["applied"] else image,
    "rotate": lambda image, p: functional.rotate(image, p["angle"]),
    "gaussian_blur": torchvision_blur,
    "pad_resize": lambda image, p: functional.resize(
        functional.pad(image, p["pixels"]), [image.height, image.width]
    ),
    "resized_crop": torchvision_crop,
    "sharpness": lambda image, p: (
        functional.adjust_sharpness(image, p["factor"]) if p["applied"] else image
    ),
    "autocontrast": lambda image, p: functional.autocontrast(image) if p["applied"] else image,
    "shear_x": lambda image, p: affine(image, shear=[math.degrees(math.atan(p["slope"])), 0]),
    "shear_y": lambda image, p: affine(image, shear=[0, math.degrees(math.atan(p["slope"]))]),
    "translate_x": lambda image, p: affine(
        image, translate=[round(p["fraction"] * image.width), 0]
    ),
    "translate_y": lambda image, p: affine(
        image, translate=[0, round(p["fraction"] * image.height)]
    ),
    "brightness": lambda image, p: functional.adjust_brightness(image, p["factor"]),
    "contrast": lambda image, p: functional.adjust_contrast(image, p["factor"]),
    "saturation": lambda image, p: functional.adjust_saturation(image, p["factor"]),
    "posterize": lambda image, p: functional.posterize(image, p["bits"]),
    "solarize": lambda image, p: functional.solarize(image, p["threshold"]),
    "equalize": lambda image, _p: functional.equalize(image),
}
SLANTED = ("shear_x", "shear_y")
"""torchvision computes the matrix by way of angles: a point on an edge may fall elsewhere."""


def difference(pixels, oracle):
    return int(np.abs(pixels.astype(int) - np.asarray(oracle).astype(int)).max())


@pytest.mark.parametrize("pixels", IMAGES, ids=["noise", "smooth", "wide"])
@pytest.mark.parametrize("name", sorted(registry.TRANSFORMS))
def test_it_agrees_with_torchvision_at_equal_drawn_numbers(name, pixels):
    """Pixel for pixel; the blur, which torchvision sums in another order, within one level."""
    for seed in range(8):
        params = drawn(name, seed, pixels)
        expected = ORACLES[name](Image.fromarray(pixels), params)
        ours = applied(name, pixels, params)
        if name in SLANTED:
            assert np.mean(ours != np.asarray(expected)) < 0.01
        else:
            assert difference(ours, expected) <= (name == "gaussian_blur")


def test_the_blur_differs_from_torchvisions_in_next_to_no_pixel():
    params = {"sigma": 1.3}
    expected = np.asarray(torchvision_blur(Image.fromarray(NOISE), params))
    assert np.mean(applied("gaussian_blur", NOISE, params) != expected) < 0.001


@pytest.mark.parametrize(
    ("oracle", "name", "params"),
    [
        (published.RandomHorizontalFlip(1), "horizontal_flip", {"applied": True}),
        (
            torch.nn.Sequential(published.Pad(10), published.Resize(128)),
            "pad_resize",
            {"pixels": 10},
        ),
        (published.RandomAdjustSharpness(1.25, 1), "sharpness", {"applied": True, "factor": 1.25}),
        (published.RandomAdjustSharpness(0.75, 1), "sharpness", {"applied": True, "factor": 0.75}),
        (published.RandomAutocontrast(1), "autocontrast", {"applied": True}),
    ],
    ids=["flip", "pad", "sharper", "softer", "autocontrast"],
)
def test_it_agrees_with_the_published_transform_objects(oracle, name, params):
    expected = oracle(Image.fromarray(NOISE))
    assert difference(applied(name, NOISE, params), expected) == 0


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        (published.RandomRotation(20), "rotate", "angle"),
        (published.GaussianBlur(3, (0.1, 2.0)), "gaussian_blur", "sigma"),
    ],
)
def test_a_number_that_torchvision_drew_gives_torchvisions_image(kind, name, key):
    for seed in range(5):
        torch.manual_seed(seed)
        limits = kind.degrees if key == "angle" else kind.sigma
        number = kind.get_params(limits) if key == "angle" else kind.get_params(*limits)
        torch.manual_seed(seed)
        expected = kind(Image.fromarray(SMOOTH))
        assert difference(applied(name, SMOOTH, {key: number}), expected) <= 1


def test_a_crop_that_torchvision_drew_gives_torchvisions_image():
    kind = published.RandomResizedCrop(128, (0.8, 1.0))
    for seed in range(5):
        torch.manual_seed(seed)
        top, left, height, width = kind.get_params(Image.fromarray(NOISE), kind.scale, kind.ratio)
        torch.manual_seed(seed)
        box = {"top": top, "left": left, "height": height, "width": width}
        expected = kind(Image.fromarray(NOISE))
        assert difference(applied("resized_crop", NOISE, box), expected) == 0


@pytest.mark.parametrize("shape", [(40, 200, 3), (200, 40, 3), (50, 60, 3)])
def test_a_crop_that_never_fits_falls_back_as_torchvisions_does(shape):
    """With scale 1 no crop of another ratio fits: both take the same central one."""
    pixels, ratio = np.zeros(shape, np.uint8), [0.7, 0.75] if shape[0] == 50 else [3 / 4, 4 / 3]
    expected = published.RandomResizedCrop.get_params(Image.fromarray(pixels), [1.0, 1.0], ratio)
    box = drawn("resized_crop", 0, pixels, scale=[1, 1], ratio=ratio)
    assert [box[key] for key in ("top", "left", "height", "width")] == list(expected)


def test_crops_have_torchvisions_distribution_of_areas_and_ratios():
    image, torch_boxes = Image.fromarray(NOISE), []
    torch.manual_seed(0)
    for _ in range(3000):
        torch_boxes.append(published.RandomResizedCrop.get_params(image, [0.8, 1], [3 / 4, 4 / 3]))
    rng = np.random.default_rng(0)
    arguments = PolicyEntry("resized_crop").full_arguments
    sample = registry.find_transform("resized_crop").sample
    ours = [sample(rng, image, **arguments) for _ in range(3000)]
    boxes = np.array([[box[k] for k in ("top", "left", "height", "width")] for box in ours])
    assert np.allclose(boxes.mean(axis=0), np.mean(torch_boxes, axis=0), atol=0.6)
    assert np.allclose(boxes.std(axis=0), np.std(torch_boxes, axis=0), atol=0.6)


@pytest.mark.parametrize("name", sorted(registry.TRANSFORMS))
def test_what_was_drawn_replays_after_a_journey_through_json(name):
    for seed in range(5):
        params = drawn(name, seed, WIDE)
        once = applied(name, WIDE, params)
        again = applied(name, WIDE, json.loads(json.dumps(params, allow_nan=False)))
        assert np.array_equal(once, again)
        assert drawn(name, seed, WIDE) == params


@pytest.mark.parametrize("name", sorted(registry.TRANSFORMS))
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (64, 48, 3)])
def test_size_and_type_are_kept_and_the_parent_is_left_alone(name, shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    picture = Image.fromarray(pixels)
    result = registry.find_transform(name).apply(picture, drawn(name, 3, pixels))
    assert (result.size, result.mode) == (picture.size, "RGB")
    assert np.array_equal(picture, pixels)


def test_probability_is_kept_and_written_down():
    acted = [drawn("horizontal_flip", seed, NOISE, p=0.7)["applied"] for seed in range(2000)]
    assert 0.66 < np.mean(acted) < 0.74


def test_a_flat_image_stays_flat_under_blur_and_sharpness():
    white = np.full((16, 16, 3), 255, np.uint8)
    assert (applied("gaussian_blur", white, {"sigma": 2.0}) == 255).all()
    assert (applied("sharpness", white, {"applied": True, "factor": 1.25}) == 255).all()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("rotat", {}, "unknown transform 'rotat' .did you mean 'rotate'.*; choose one of auto"),
        ("rotate", {"degree": 3}, "argument of rotate 'degree' .*mean 'degrees'"),
        ("identity", {"p": 1}, "argument of identity 'p'; there are none"),
        ("rotate", {"degrees": -1}, "rotate: degrees must be degrees from 0 to 180.*got -1"),
        ("horizontal_flip", {"p": 1.2}, "p must be a probability from 0 to 1, got 1.2"),
        ("gaussian_blur", {"sigma": [2, 1]}, r"sigma must be \[lowest, highest\].*got \[2, 1\]"),
        ("gaussian_blur", {"sigma": 1.0}, "sigma must be .* got 1.0"),
        ("pad_resize", {"pixels": 1.5}, "pixels must be 1 to 1024 pixels, got 1.5"),
        ("resized_crop", {"scale": [0.8, 1.2]}, "scale must be"),
        ("sharpness", {"factor": True}, "factor must be a factor"),
        ("sharpness", {"factor": float("nan")}, "factor must be a factor"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_be_right(name, arguments, message):
    with pytest.raises(InputError, match=message):
        PolicyEntry(name, arguments=arguments).full_arguments  # noqa: B018
