"""DICOM, the pictures of medicine, by pydicom: gray levels as the file says they are shown."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.errors import InputError

FORMAT = "DICOM"
SCALE = "toolkit:scale"  # key of an image's info: how its gray levels became 8 bits

Values = npt.NDArray[np.float64]


def is_dicom(data: bytes) -> bool:
    """Return whether this is the head of a DICOM file."""
    return data[128:132] == b"DICM"


def open_dicom(data: bytes, pixels: int) -> Image.Image:
    """Decode the first frame to 8 bits: gray by the file's window, or by its BitsStored.

    The latter is the range of what wrote the file, and not of this picture. Raises InputError for a
    file without pixels, with more than `pixels`, or in a compression that pydicom does not read,
    ValueError and other errors of decoding for a damaged one.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        return _decode(data, pixels)
    except (BytesLengthException, InvalidDicomError) as error:  # exceptions of no built-in kind
        raise ValueError(str(error)) from error


def _decode(data: bytes, pixels: int) -> Image.Image:
    from pydicom import dcmread

    dataset = dcmread(io.BytesIO(data))
    if "PixelData" not in dataset:
        raise InputError("a DICOM file without a picture")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows * columns > pixels:
        raise InputError(f"{columns} x {rows} pixels are more than {pixels:,}")
    values = _first_frame(dataset)
    kind = str(dataset.PhotometricInterpretation)
    if kind.startswith("MONOCHROME"):
        shown, scale = _shown(dataset, values)
        if kind == "MONOCHROME1":
            shown = 1 - shown
        image = Image.fromarray(np.floor(255 * shown + 0.5).astype(np.uint8))
    else:
        image, scale = _color(dataset, values, kind), ""
    image.format, image.info = FORMAT, {SCALE: scale and f"{FORMAT} {scale}"}
    return image


def _first_frame(dataset: Any) -> npt.NDArray[Any]:
    from pydicom.pixels import pixel_array

    try:
        return np.asarray(pixel_array(dataset, index=0))
    except (RuntimeError, NotImplementedError):
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_compressed:
            raise
        raise InputError(
            f"a DICOM file compressed as {syntax.name}, which is not read: decompress it"
        ) from None


def _shown(dataset: Any, stored: npt.NDArray[Any]) -> tuple[Values, str]:
    """Return gray levels from 0 to 1, and by what window or range."""
    from pydicom.pixels import apply_modality_lut

    values = np.asarray(apply_modality_lut(stored, dataset), dtype=np.float64)
    center, width = (_first(dataset, name) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width < 1:
        low, high = _range(dataset)
        return np.clip((values - low) / (high - low), 0, 1), f"range {low:g} to {high:g}"
    said = f"window {width:g}, level {center:g}"
    if str(dataset.get("VOILUTFunction", "")) == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -50, 50))), said
    shown = (values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5  # PS3.3, C.11.2.1.2
    return np.clip(shown, 0, 1), said


def _first(dataset: Any, name: str) -> float | None:
    """Return a number, the first where there are several ways to show the picture."""
    value = dataset.get(name)
    several = value if isinstance(value, list | tuple) or hasattr(value, "__iter__") else [value]
    first = next(iter(several), None)
    return None if first is None else float(first)


def _range(dataset: Any) -> tuple[float, float]:
    """Return the lowest and the highest value that BitsStored hold, in the units of the picture."""
    from pydicom.pixels import apply_modality_lut

    bits = int(dataset.BitsStored)
    low = -(2 ** (bits - 1)) if int(dataset.PixelRepresentation) else 0
    ends = np.array([low, low + 2**bits - 1])
    first, last = (float(value) for value in apply_modality_lut(ends, dataset))
    return (first, last) if first < last else (last, first + (first == last))


def _color(dataset: Any, values: npt.NDArray[Any], kind: str) -> Image.Image:
    if kind == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        values = apply_color_lut(values, dataset)
        if values.dtype.itemsize > 1:
            values = values >> 8
    if values.dtype != np.uint8 or values.ndim != 3:
        raise InputError(f"a DICOM file of {kind} with {values.dtype}, which is not read")
    return Image.fromarray(values).convert("RGB")
