"""The peers of benchmarks/augment.py: the same work with other libraries, each in its own process.

python benchmarks/augment_peers.py PEER PHOTOS OUTPUT NUMBER jpg|png

Work: decode, resize to 128 x 128, one transform by the weights of the policy `homework`, write.
Every peer takes the photos in turn, and imports only what it needs.
"""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WEIGHTS = [0.7, 0.7, 0.3, 0.5, 0.6, 0.2, 0.2, 0.3]
SIZE, QUALITY = 128, 75


def published(photos: list[str], output: str, number: int, form: str) -> None:
    """As published: torchvision's transforms on Pillow images."""
    from PIL import Image
    from torchvision import transforms as t

    resize = t.Resize((SIZE, SIZE))
    choice = t.RandomChoice(
        [
            t.RandomHorizontalFlip(0.7),
            t.RandomRotation(20),
            t.GaussianBlur(3, (0.1, 2.0)),
            t.Compose([t.Pad(10), resize]),
            t.RandomResizedCrop(SIZE, (0.8, 1.0)),
            t.RandomAdjustSharpness(1.25),
            t.RandomAdjustSharpness(0.75),
            t.RandomAutocontrast(),
        ],
        p=WEIGHTS,
    )
    for k in range(number):
        image = resize(Image.open(photos[k % len(photos)]).convert("RGB"))
        choice(image).save(f"{output}/{k:06d}.{form}")  # Pillow's JPEG: quality 75, 4:2:0


def tensors(photos: list[str], output: str, number: int, form: str) -> None:
    """The transforms.v2 of torchvision on uint8 tensors, with its own codecs."""
    import torch
    from torchvision import io
    from torchvision.transforms import v2

    torch.set_num_threads(1)  # faster so, with images this small
    resize = v2.Resize((SIZE, SIZE))
    choice = v2.RandomChoice(
        [
            v2.RandomHorizontalFlip(0.7),
            v2.RandomRotation(20),
            v2.GaussianBlur(3, (0.1, 2.0)),
            v2.Compose([v2.Pad(10), resize]),
            v2.RandomResizedCrop(SIZE, (0.8, 1.0)),
            v2.RandomAdjustSharpness(1.25),
            v2.RandomAdjustSharpness(0.75),
            v2.RandomAutocontrast(),
        ],
        p=WEIGHTS,
    )
    for k in range(number):
        image = io.decode_image(photos[k % len(photos)], io.ImageReadMode.RGB)
        made, path = choice(resize(image)), f"{output}/{k:06d}.{form}"
        if form == "jpg":
            io.write_jpeg(made, path, QUALITY)
        else:
            io.write_png(made, path)


def albumentations(photos: list[str], output: str, number: int, form: str) -> None:
    """With albumentations on arrays, OpenCV's codecs, one thread."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as a
    import cv2

    cv2.setNumThreads(1)
    kinds = [
        a.HorizontalFlip(p=0.7),
        a.Rotate((-20, 20), interpolation=0, border_mode=0, p=1),
        a.GaussianBlur((3, 3), (0.1, 2.0), p=1),
        a.Compose([a.Pad(10, p=1), a.Resize(SIZE, SIZE, p=1)]),
        a.RandomResizedCrop((SIZE, SIZE), scale=(0.8, 1.0), p=1),
        a.Sharpen(p=0.5),
        a.Blur((3, 3), p=0.5),
        a.AutoContrast(p=0.5),
    ]
    # OneOf chooses by the transforms' p, which is also how often they act: chosen here instead.
    pipelines = [a.Compose([a.Resize(SIZE, SIZE), kind]) for kind in kinds]
    draw = random.Random(0)
    for k in range(number):
        pixels = cv2.cvtColor(cv2.imread(photos[k % len(photos)]), cv2.COLOR_BGR2RGB)
        made = draw.choices(pipelines, WEIGHTS)[0](image=pixels)["image"]
        bgr = cv2.cvtColor(made, cv2.COLOR_RGB2BGR)
        cv2.imwrite(f"{output}/{k:06d}.{form}", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def augmentor(photos: list[str], output: str, number: int, form: str) -> None:
    """Augmentor's pipeline, with its threads; what it lacks is an operation of our own."""
    import Augmentor
    from Augmentor.Operations import Operation
    from PIL import Image, ImageEnhance, ImageFilter, ImageOps

    def pad(image: Any) -> Any:
        return ImageOps.expand(image, 10).resize((SIZE, SIZE), Image.Resampling.BILINEAR)

    def crop(image: Any) -> Any:
        side = round(SIZE * random.uniform(0.8, 1) ** 0.5)
        left, top = random.randint(0, SIZE - side), random.randint(0, SIZE - side)
        box = (left, top, left + side, top + side)
        return image.crop(box).resize((SIZE, SIZE), Image.Resampling.BILINEAR)

    def sometimes(change: Callable[[Any], Any], p: float = 0.5) -> Callable[[Any], Any]:
        return lambda image: change(image) if random.random() < p else image

    changes = [
        sometimes(lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.7),
        lambda i: i.rotate(random.uniform(-20, 20)),
        lambda i: i.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0))),
        pad,
        crop,
        sometimes(lambda i: ImageEnhance.Sharpness(i).enhance(1.25)),
        sometimes(lambda i: ImageEnhance.Sharpness(i).enhance(0.75)),
        sometimes(ImageOps.autocontrast),
    ]

    class OneOf(Operation):  # type: ignore[misc]
        def perform_operation(self, images: list[Any]) -> list[Any]:
            return [random.choices(changes, WEIGHTS)[0](image.convert("RGB")) for image in images]

    folder = str(Path(photos[0]).parent)
    pipeline = Augmentor.Pipeline(folder, output, save_format="JPEG" if form == "jpg" else "PNG")
    pipeline.resize(1, SIZE, SIZE, resample_filter="BILINEAR")
    pipeline.add_operation(OneOf(1))
    pipeline.sample(number)


def imgaug(photos: list[str], output: str, number: int, form: str) -> None:
    """With imgaug on arrays, OpenCV's codecs."""
    import cv2
    import imgaug.augmenters as iaa

    cv2.setNumThreads(1)
    kinds = [
        iaa.Fliplr(0.7),
        iaa.Affine(rotate=(-20, 20), order=0),
        iaa.GaussianBlur((0.1, 2.0)),
        iaa.Sequential([iaa.Pad(px=10, keep_size=True)]),
        iaa.Crop(percent=(0, 0.1), keep_size=True),
        iaa.Sometimes(0.5, iaa.Sharpen()),
        iaa.Sometimes(0.5, iaa.AverageBlur(3)),
        iaa.Sometimes(0.5, iaa.pillike.Autocontrast()),
    ]
    draw = random.Random(0)
    for k in range(number):
        pixels = cv2.resize(cv2.imread(photos[k % len(photos)]), (SIZE, SIZE))
        made = draw.choices(kinds, WEIGHTS)[0](image=pixels)
        cv2.imwrite(f"{output}/{k:06d}.{form}", made, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


PEERS: dict[str, Callable[[list[str], str, int, str], None]] = {
    "published way": published,
    "torchvision v2": tensors,
    "albumentations": albumentations,
    "Augmentor": augmentor,
    "imgaug": imgaug,
}

if __name__ == "__main__":
    peer, source, target, count, suffix = sys.argv[1:]
    Path(target).mkdir(parents=True)
    found = sorted(str(path) for path in Path(source).rglob("*.*"))
    PEERS[peer](found, target, int(count), suffix)
