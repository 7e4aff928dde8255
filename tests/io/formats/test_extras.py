"""Formats of packages that are extras, within the same limits; others are refused by name."""

import importlib.util
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.helpers.formats import (
    HEIC,
    HEIC_HEAD,
    HEIC_LARGE,
    HEIC_TURNED,
    HEIC_WITH_THUMBNAIL,
    dicom,
)
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.formats import extras

PHOTO = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) * 15).resize((32, 24), 3)
HAS_HEIC, HAS_DICOM = (importlib.util.find_spec(m) for m in ("pi_heif", "pydicom"))
needs_heic = pytest.mark.skipif(not HAS_HEIC, reason="the extra [heic] is not installed")
needs_dicom = pytest.mark.skipif(not HAS_DICOM, reason="the extra [dicom] is not installed")
RAMP = np.linspace(0, 4095, 192).astype(np.uint16).reshape(12, 16)


@pytest.mark.parametrize("head", [HEIC_HEAD, bytes(128) + b"DICM" + bytes(64)])
def test_without_the_extra_the_message_names_it_and_the_line_to_type(head, monkeypatch):
    none = tuple(replace(extra, module="no_such_package") for extra in extras.EXTRAS)
    monkeypatch.setattr(extras, "EXTRAS", none)
    with pytest.raises(InputError, match=r"pip install 'imbalanced-images\[(heic|dicom)\]'"):
        images.identify(head)


def test_a_folder_says_what_photos_of_phones_need(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "EXTRAS", (replace(extras.EXTRAS[0], module="no_such_package"),))
    for name in ("a/1.png", "b/2.png", "b/IMG_1.HEIC"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PHOTO.convert("RGB").save(tmp_path / name, "PNG")
    (tmp_path / "b/IMG_1.HEIC").write_bytes(HEIC_HEAD)
    said = folders.scan(tmp_path).notes["read"]
    assert "not used: a HEIC photo, read after pip install 'imbalanced-images[heic]' (1)" in said


def tiff(*tags):
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(64)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypcrx " + bytes(64), "Canon"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(64), "Canon"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(64), "Fujifilm"),
        (b"IIU\0" + bytes(64), "Panasonic"),
        (tiff((254, 1), (330, 99)), "the TIFF kind"),
        (tiff((50706, 1)), "the TIFF kind"),
    ],
)
def test_camera_raw_is_refused_by_name_and_its_preview_is_not_taken_for_it(data, name):
    with pytest.raises(InputError, match=rf"^camera RAW of {name}.*export it as TIFF, PNG or JPEG"):
        images.decode(data)


@pytest.mark.parametrize(
    "data", [tiff((254, 1)), tiff((256, 4)), b"MM\0*", b"II*\0\xff\xff\xff\xff"]
)
def test_other_tiffs_are_no_raw(data):
    assert extras.raw_name(data) == ""


@needs_heic
def test_heic_is_decoded_upright_and_whole():
    assert images.identify(HEIC_TURNED) == "HEIF"
    expected = np.asarray(PHOTO.transpose(Image.Transpose.ROTATE_270), dtype=int)
    assert np.abs(images.decode(HEIC_TURNED)[..., 0].astype(int) - expected).mean() < 4
    assert images.decode_picture(HEIC_TURNED, 8).size == (8, 8)


@needs_heic
def test_heic_has_the_same_limits_and_reasons():
    with pytest.raises(InputError, match="32 x 24 pixels are more than 100"):
        images.decode(HEIC, images.ImageLimits(pixels=100))
    with pytest.raises(InputError, match="damaged image"):
        images.decode(HEIC[: len(HEIC) // 2])
    with pytest.raises(InputError, match="damaged image"):
        images.decode(HEIC_HEAD)


@needs_heic
def test_the_thumbnail_in_a_heic_is_not_taken_for_the_picture():
    one, other = (
        np.asarray(images.decode_picture(data, 16), dtype=int)
        for data in (HEIC_LARGE, HEIC_WITH_THUMBNAIL)
    )
    assert np.abs(one - other).max() <= 1


@needs_dicom
@pytest.mark.parametrize(
    ("attributes", "first", "middle", "last", "said"),
    [
        ({}, 0, 128, 255, "range 0 to 4095"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, 255, 127, 0, "range 0 to 4095"),
        ({"WindowCenter": [2048, 1], "WindowWidth": [4096, 3]}, 0, 128, 255, "window 4096, level"),
        (
            {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400},
            0, 255, 255, "window 400, level 40",
        ),
        ({"RescaleSlope": 1, "RescaleIntercept": -1024}, 0, 128, 255, "range -1024 to 3071"),
    ],
)  # fmt: skip
def test_dicom_is_shown_by_its_window_or_the_range_of_its_bits(
    attributes, first, middle, last, said
):
    data = dicom(RAMP, **attributes)
    gray = images.decode(data)[..., 0]
    assert (gray[0, 0], gray[6, 0], gray[-1, -1]) == (first, middle, last)
    assert said in images.inspect(data).shown


@needs_dicom
def test_a_dicom_whose_header_has_a_wrong_length_is_damaged():
    data = dicom(RAMP)
    assert data[132:140] == b"\x02\0\0\0UL\x04\0"
    with pytest.raises(InputError, match="damaged image"):
        images.decode(data[:138] + b"\x05\0" + data[140:])


@needs_dicom
def test_a_dark_dicom_stays_dark():
    """Its range is that of its bits, and not of its brightest pixel."""
    assert images.decode(dicom(RAMP // 16)).max() == 16


@needs_dicom
def test_dicom_in_color_is_decoded():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    assert images.decode(dicom(pixels)).tolist() == pixels.tolist()


@needs_dicom
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: dicom(RAMP, PixelData=None), "without a picture"),
        (lambda: dicom(RAMP)[:-40], "damaged image"),
        (lambda: dicom(RAMP, Rows=60000, Columns=60000), "pixels are more than"),
        (lambda: bytes(128) + b"DICM" + bytes(40), "damaged image|without a picture"),
    ],
)
def test_a_dicom_that_is_no_picture_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        images.decode(data())


@needs_dicom
def test_a_folder_says_by_which_windows_its_dicom_files_are_shown(tmp_path):
    for number, label in enumerate(("a", "a", "b")):
        (tmp_path / label).mkdir(exist_ok=True)
        window = {"WindowCenter": 40, "WindowWidth": 400} if label == "a" else {}
        data = dicom(RAMP + np.uint16(number), **window)
        (tmp_path / label / f"{number}.dcm").write_bytes(data)
    said = folders.scan(tmp_path, whole=True).notes["read"]
    assert said.endswith("gray levels: DICOM window 400, level 40 (2), DICOM range 0 to 4095 (1)")
