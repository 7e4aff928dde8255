"""Files of every kind, how they are damaged, and what reads them."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from PIL import Image, ImageCms

from tests.fuzz import label_tables
from tests.helpers import formats
from tests.helpers.tools import TOLD, TOOLS
from toolkit.augmentation import plan
from toolkit.augmentation.transforms import compose, parsing
from toolkit.datasets import archives
from toolkit.datasets.tables.decisions import read_decision_table
from toolkit.errors import InputError
from toolkit.evaluation import results
from toolkit.io import manifest, sandbox
from toolkit.io.images import LIMITS, decode, decode_picture, identify
from toolkit.io.manifest import Manifest, Sample
from toolkit.metrics import predictions
from toolkit.pipeline import params  # fmt: skip

Read = Callable[[bytes, Path], object]
SPECIAL = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0")
TEXTS = (
    b'"', b"\n", b"\r", b",", b"\0", b"[", b"{", b"&a ", b"*a", b"NaN", b"-1", b"1e999", b"\xff",
    b"../", b"\xe2\x80\xae", b"'", b"=",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """Undamaged files, and the function that reads one in a folder of its own."""

    files: Sequence[bytes]
    read: Read
    text: bool = False


@dataclass(frozen=True)
class Outcome:
    """Whether a mutant was "read" or "refused", or what went wrong, and the CPU time in seconds."""

    what: str
    seconds: float


def mutate(data: bytes, others: Sequence[bytes], rng: np.random.Generator, text: bool) -> bytes:
    """Flip bits, insert values, cut, repeat or splice, up to eight times, in a text up to three."""
    new = bytearray(data)
    for _ in range(int(rng.integers(1, 4 if text else 9))):
        at = int(rng.integers(0, len(new) + 1))
        size = int(rng.integers(1, 1 + min(64, max(1, len(new)))))
        other = others[int(rng.integers(0, len(others)))]
        start = int(rng.integers(0, len(other)))
        changes = (
            lambda n, a=at: _flip(n, a, int(rng.integers(0, 8))),
            lambda n, a=at: _put(n, a, SPECIAL[int(rng.integers(0, len(SPECIAL)))]),
            lambda n, a=at: n[:a],
            lambda n, a=at, s=size: n[:a] + n[a + s :],
            lambda n, a=at, s=size: n[: a + s] + n[a:],
            lambda n, a=at, s=size: n[:a] + rng.bytes(s) + n[a:],
            lambda n, a=at, s=size, p=start, o=other: _put(n, a, o[p : p + s]),
            lambda n, a=at: n[:a] + TEXTS[int(rng.integers(0, len(TEXTS)))] + n[a:],
        )
        kinds = (0, 2, 3, 4, 6, 7, 7, 7) if text else (0, 0, 0, 1, 1, 2, 3, 4, 5, 6)
        new = bytearray(changes[kinds[int(rng.integers(0, len(kinds)))]](new))
    return bytes(new)


def _flip(data: bytearray, at: int, bit: int) -> bytearray:
    if at < len(data):
        data[at] ^= 1 << bit
    return data


def _put(data: bytearray, at: int, piece: bytes) -> bytearray:
    return data[:at] + piece + data[at + len(piece) :]


# --- undamaged files ---------------------------------------------------------------------------


def picture(rng: np.random.Generator, size: int = 24) -> Image.Image:
    """Return a smooth random image."""
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def images(rng: np.random.Generator) -> list[bytes]:
    """Return an image in every format and mode that is read."""
    image = picture(rng)
    frames = {"save_all": True, "append_images": [picture(rng), picture(rng)]}
    exif = image.getexif()
    exif[0x0112], exif[0x010E] = 6, "words"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alpha = image.copy()
    alpha.putalpha(image.convert("L"))
    deep = Image.fromarray(rng.integers(0, 65536, (24, 24), dtype=np.uint16))
    variants = [
        (image, "PNG", {"exif": exif, "icc_profile": icc}), (alpha, "PNG", {}),
        (image.convert("P"), "PNG", {"transparency": 3}), (deep, "PNG", {}),
        (image, "PNG", frames), (image, "JPEG", {"exif": exif, "icc_profile": icc}),
        (image, "JPEG", {"progressive": True}), (image.convert("CMYK"), "JPEG", {}),
        (image.convert("L"), "JPEG", {}), (image, "GIF", frames), (image.convert("P"), "BMP", {}),
        (image, "BMP", {}), (image, "TIFF", {"compression": "tiff_lzw"}), (deep, "TIFF", {}),
        (image, "TIFF", {"compression": "tiff_adobe_deflate", **frames}),
        (image, "TIFF", {"compression": "jpeg"}), (image, "WEBP", {}),
        (alpha, "WEBP", {"lossless": True}), (image, "WEBP", frames), (image, "PPM", {}),
        (image, "JPEG2000", {}), (alpha, "AVIF", {}),
    ]  # fmt: skip
    extra = [formats.HEIC, formats.HEIC_TURNED] if find_spec("pi_heif") else []
    if find_spec("pydicom"):
        window = {"WindowCenter": 40, "WindowWidth": 400}
        extra += [formats.dicom(np.asarray(deep) >> 4, **window), formats.dicom(np.asarray(image))]
    return [*(_encode(*variant) for variant in variants), *extra]


def _encode(image: Image.Image, form: str, options: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def archive_files(rng: np.random.Generator) -> list[bytes]:
    """Return zip and tar files in every compression."""
    files = {f"top/{name}/{n}.png": rng.bytes(200) for n in range(3) for name in ("a", "ü")}
    zips = [_zip(files, kind) for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    tar = _tar(files)
    return [*zips, tar, gzip.compress(tar), bz2.compress(tar), lzma.compress(tar)]


def _zip(files: dict[str, bytes], compression: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


SAMPLES = (
    Sample("0" * 64, "a/1.png", "a", "train", "0"),
    Sample("1" * 64, "b/1, 2.png", "b", "train", "1"),
    Sample("2" * 64, "b/n.png", "b", "train", "1", "1" * 64, "rotate", {"degrees": -1.5}, 7),
)
PARAMS = (Path(params.__file__).parent / "presets" / "homework.yaml").read_bytes()
SIDECAR = json.dumps({"classes": ["a", "b"], "notes": {"rejected": [{"path": "x", "reason": "y"}]}})
PREDICTIONS = b"id,actual,predicted,score_a,score_b\n1,a,a,0.75,0.25\n2,b,a,0.5,0.5\n"
DECISIONS = (
    b"path,decision,label,group,sha256,note\na/1.png,keep,,,,fine\na/2.png,relabel,b,,,\n"
    b"a/3.png,same group,,g,,\na/4.png,same group,,g,,\nb/5.png,drop,,,,\nb/6.png,,,,,\n"
)
OTHERS = (  # as other tools write them
    b"\xef\xbb\xbfactual,predicted\r\na,a\r\nb,a\r\n",
    b'"","actual","predicted","score_a","score_b"\n"1","a","b",1,0\n"2","b","b",1e-3,9.99e-1\n',
    b"id,actual,predicted\n1,0,1\n2,1,1\n\n",
    b"y_true;y_pred;prob\r\n0;1;0,9\r\n1;1.0;0,8\r\n0;0;0,1\r\n",
    *(of[0].encode() if isinstance(of[0], str) else of[0]
      for tool, of in TOOLS.items() if tool not in TOLD),
)  # fmt: skip


COMMENTS = 60 * "# a comment where mutations do no harm\n"
POLICY = (
    COMMENTS
    + """by_class:
  a: randaugment
  b:
  - {transform: trivialaugment, weight: 0.5, limit: {rotation: 10, crop: 0.2}}
  - {transform: resized_crop, arguments: {scale: [0.8, 1.0]}}
otherwise:
- transform: some_of
  arguments: {count: [1, 2], replace: true}
  of:
  - {transform: sharpness, arguments: {factor: 1.25, p: 0.5}}
  - transform: mix
    arguments: {chains: 3, depth: [1, 3]}
    of: [{transform: rotate, weight: 2}, {transform: posterize, arguments: {bits: [3, 4]}}]
"""
)
ALBUMENTATIONS = (
    COMMENTS
    + """- transform: albumentations.Affine
  weight: 2
  arguments: {rotate: [-9, 9], translate_percent: [-0.05, 0.05], scale: [0.9, 1.1]}
- {transform: albumentations.HorizontalFlip}
- {transform: albumentations.RandomGamma, arguments: {gamma_limit: [75, 130]}}
- {transform: albumentations.GaussNoise, arguments: {std_range: [0.02, 0.06]}}
"""
)
SAVED = COMMENTS + json.dumps({
    "__version__": "2.0.8",
    "transform": {
        "__class_fullname__": "Compose",
        "p": 1.0,
        "transforms": [
            {
                "__class_fullname__": "RandomResizedCrop",
                "p": 0.5,
                "size": [9, 9],
                "scale": [0.5, 1],
            },
            {
                "__class_fullname__": "OneOf",
                "p": 0.4,
                "transforms": [
                    {"__class_fullname__": "Affine", "p": 0.5, "rotate": [-9.0, 9.0]},
                    {"__class_fullname__": "HorizontalFlip", "p": 0.25},
                ],
            },
            {
                "__class_fullname__": "SomeOf",
                "p": 1,
                "transforms": [{"__class_fullname__": "ToGray", "p": 0.5}] * 3,
                "n": 2,
                "replace": False,
            },
            {"__class_fullname__": "Normalize", "p": 1.0},
        ],
    },
}, indent=1)  # fmt: skip
"""As albumentations saves a pipeline."""


def _table(folder: Path) -> bytes:
    manifest.write_manifest(folder, Manifest(("a", "b"), SAMPLES))
    return (folder / manifest.TABLE).read_bytes()


def _plan(folder: Path) -> bytes:
    plan.write_plan(
        folder, [plan.PlannedImage("0" * 64, "a", n, "rotate", {"degrees": 1.5}, n) for n in (1, 2)]
    )
    return (folder / plan.TABLE).read_bytes()


# --- readers -----------------------------------------------------------------------------------


def _image(data: bytes, _folder: Path) -> None:
    identify(data)
    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    decode_picture(data, 16)


def _archive(data: bytes, folder: Path) -> None:
    (folder / "x").write_bytes(data)
    for name, _ in archives.unpack_archive(folder / "x"):
        assert not name.is_absolute()
        assert ".." not in name.parts


def _policy(path: Path) -> None:
    """Sample transforms of the policy, and apply them."""
    policy, picture = parsing.make_policy(path), Image.new("RGB", (16, 12), "teal")
    for label in ("a", "b", "c"):
        for seed in range(5):
            rng = default_rng(seed)
            transform, values = compose.sample_policy(policy.for_class(label), rng, picture)
            assert compose.apply_transform(transform, picture, values).size == (16, 12)


def _manifest(name: str, data: bytes, folder: Path) -> None:
    (folder / manifest.SIDECAR).write_text(SIDECAR)
    (folder / manifest.TABLE).write_text(",".join(manifest.COLUMNS) + "\n")
    (folder / name).write_bytes(data)
    manifest.read_manifest(folder)


def _file(name: str, reader: Callable[[Path], object], data: bytes, folder: Path) -> None:
    (folder / name).write_bytes(data)
    reader(folder / name)


def kinds(folder: Path, seed: int = 0) -> dict[str, Kind]:
    """Return all kinds by name."""
    rng = np.random.default_rng(seed)
    read_plan = partial(_file, plan.TABLE, lambda path: plan.read_plan(path.parent))
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "image": Kind(images(rng), _image),
        "archive": Kind(archive_files(rng), _archive),
        "manifest.csv": Kind([_table(folder)], partial(_manifest, manifest.TABLE), text=True),
        "manifest.json": Kind([SIDECAR.encode()], partial(_manifest, manifest.SIDECAR), text=True),
        "plan.csv": Kind([_plan(folder)], read_plan, text=True),
        "params.yaml": Kind([PARAMS], partial(_file, "params.yaml", params.load_params), text=True),
        "policy.yaml": Kind([POLICY.encode()], partial(_file, "parsing.yaml", _policy), text=True),
        "predictions.csv": Kind(
            [PREDICTIONS], partial(_file, "p.csv", predictions.read_predictions), text=True
        ),
        "others' predictions": Kind(
            OTHERS, partial(_file, "o.csv", predictions.read_predictions), text=True
        ),
        "policy of albumentations": Kind(
            [ALBUMENTATIONS.encode()], partial(_file, "a.yaml", _policy), text=True
        ),
        "saved by albumentations": Kind(
            [SAVED.encode()],
            partial(_file, "s.json", _policy),
            text=True,
        ),
        **{
            name: Kind(tables, partial(label_tables.read, name), text=True)
            for name, tables in label_tables.FILES.items()
        },
        "decisions.csv": Kind([DECISIONS], partial(_file, "d.csv", read_decision_table), text=True),
        "history.csv": Kind(
            [",".join(results.HISTORY).encode() + b"\n1,0.5,0.5,1,1,0.001" * 9],
            partial(_file, "h.csv", results.read_history),
            text=True,
        ),
    }


def outcomes(kind: Kind, count: int, folder: Path, *, workers: int = 1) -> Iterator[Outcome]:
    """Yield the outcomes of mutants 0 to `count` - 1 of a kind."""
    judge = partial(_judge, kind, folder)
    bounds = {"seconds": LIMITS.seconds, "memory": LIMITS.memory}
    for result in sandbox.sandboxed_map(judge, range(count), workers, **bounds):
        stopped = isinstance(result, sandbox.Stopped)
        yield Outcome(result.reason, LIMITS.seconds) if stopped else result


def mutant(kind: Kind, number: int) -> bytes:
    """Return mutant `number`, which is always the same."""
    rng = np.random.default_rng([1, number])
    return mutate(kind.files[number % len(kind.files)], kind.files, rng, kind.text)


def _judge(kind: Kind, folder: Path, number: int) -> Outcome:
    data = mutant(kind, number)
    place = folder / str(number)
    place.mkdir(parents=True)
    start = time.process_time()
    try:
        kind.read(data, place)
        what = "read"
    except InputError:
        what = "refused"
    except Exception as error:  # noqa: BLE001 - a bug that fuzzing found
        what = f"mutant {number}: {type(error).__name__}: {error}"
    return Outcome(what, time.process_time() - start)
