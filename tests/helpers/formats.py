"""Files of formats that packages read which are extras; to be called where these are installed."""

import io

import numpy as np
from PIL import Image

HEIC_HEAD = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200)


def heic(image: Image.Image, **options) -> bytes:
    """Return an image as HEIC."""
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, quality=90, **options)
    return stream.getvalue()


def dicom(values: np.ndarray, **attributes) -> bytes:
    """Return gray values of 16 bits, of which 12 are stored, or RGB, as DICOM."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    dataset, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.file_meta = meta
    bits = 8 * values.dtype.itemsize
    gray = values.ndim == 2
    usual = {
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "SamplesPerPixel": 1 if gray else 3,
        "PhotometricInterpretation": "MONOCHROME2" if gray else "RGB",
        "BitsAllocated": bits,
        "BitsStored": 12 if bits == 16 else bits,
        "HighBit": 11 if bits == 16 else bits - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        "PixelData": values.tobytes(),
    }
    if not gray:
        dataset.PlanarConfiguration = 0
    for name, value in (usual | attributes).items():
        if value is not None:
            setattr(dataset, name, value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
