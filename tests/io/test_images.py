"""Images decode as viewers show them; whatever is wrong with a file is one clear error."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from toolkit.checks import params
from toolkit.errors import InputError
from toolkit.io import images


def encoded(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def test_png_round_trip_is_exact():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(images.decode(images.encode_png(pixels)), pixels)


def test_exif_rotation_is_applied():
    image = Image.new("RGB", (4, 2), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    assert images.decode(encoded(image, "JPEG", exif=exif)).shape == (4, 2, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_becomes_white(mode):
    clear = Image.new("RGBA", (3, 3), (255, 0, 0, 0)).convert(mode)
    assert (images.decode(encoded(clear, "PNG")) == 255).all()


def test_transparent_palette_entry_becomes_white():
    image = Image.new("P", (3, 3), 0)
    image.putpalette([10, 20, 30])
    assert (images.decode(encoded(image, "PNG", transparency=0)) == 255).all()


def test_sixteen_bits_are_scaled_not_clipped():
    gray = Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16))
    assert images.decode(encoded(gray, "PNG"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk_and_gray_become_rgb():
    white = encoded(Image.new("CMYK", (3, 3), (0, 0, 0, 0)), "TIFF")
    assert (images.decode(white) == 255).all()
    assert images.decode(encoded(Image.new("L", (3, 3), 7), "PNG")).tolist()[0][0] == [7, 7, 7]


def test_the_first_frame_of_an_animation_is_decoded():
    frames = [Image.new("RGB", (3, 3), c) for c in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert images.decode(data)[0, 0].tolist() == [255, 0, 0]


def test_a_file_that_is_not_an_image_is_refused():
    with pytest.raises(InputError, match=r"not an image \(a web page\)"):
        images.identify(b"<!DOCTYPE html><html>")


def test_dimensions_are_read_from_the_header_alone():
    assert images.dimensions(images.encode_png(np.zeros((20, 30, 3), np.uint8))[:60]) == (30, 20)


def test_a_truncated_image_is_damaged():
    data = images.encode_png(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert images.identify(data[:2000]) == "PNG"
    with pytest.raises(InputError, match="damaged image"):
        images.decode(data[:2000])


def test_too_many_pixels_are_refused_before_decoding():
    bomb = encoded(Image.new("1", (12_000, 12_000)), "PNG")
    with pytest.raises(InputError, match="12000 x 12000 pixels"):
        images.decode(bomb)


def test_reading_a_file_names_it(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"x\.jpg: not an image"):
        images.read_image(tmp_path / "x.jpg")
    with pytest.raises(InputError, match=r"y\.jpg: cannot be read \(there is no such file"):
        images.read_image(tmp_path / "y.jpg")


@given(data=st.data())
def test_any_damage_is_an_input_error(data):
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]))
    good = bytearray(encoded(Image.new("RGB", (8, 8), "green"), form))
    for _ in range(data.draw(st.integers(1, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = images.decode(bytes(good))
    except InputError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_resize_is_pillows_antialiased_bilinear():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    ours = images.resize(pixels, 16)
    theirs = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(ours, np.asarray(theirs))
    assert images.resize(ours, 16) is ours


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_as_pillow_does_at_any_scale(orientation):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x0112] = orientation
    data = encoded(image.resize((600, 400)), "JPEG", exif=exif)
    with Image.open(io.BytesIO(data)) as again:
        expected = ImageOps.exif_transpose(again)
    np.testing.assert_array_equal(images.decode(data), np.asarray(expected))
    small = np.asarray(images.decode_picture(data, 16)).astype(int)
    assert np.abs(small - np.asarray(images.resize_picture(expected, 16))).mean() < 1.5


def test_scaled_decoding_changes_a_photo_little_and_other_formats_not_at_all():
    waves = np.sin(np.linspace(0, 60, 1200))[:, None] * np.sin(np.linspace(0, 40, 1600))[None]
    photo = Image.fromarray((127.5 + 100 * np.stack([waves, -waves, waves**2], 2)).astype(np.uint8))
    full = images.resize_picture(photo, 128)
    for form, limit in (("JPEG", 1.5), ("PNG", 0)):
        small = images.decode_picture(encoded(photo, form), 128)
        assert small.size == (128, 128)
        assert np.abs(np.asarray(small).astype(int) - np.asarray(full)).mean() <= limit


def test_a_small_photo_is_decoded_in_full():
    photo = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (378, 383, 3), dtype=np.uint8)
    )
    data = encoded(photo, "JPEG")
    whole = images.resize_picture(images.decode_picture(data), 128)
    assert images.decode_picture(data, 128).tobytes() == whole.tobytes()


# --- files as cameras, scanners and programs write them ----------------------------------------


def swapped_profile() -> bytes:
    """Return an sRGB profile with red and green swapped."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data = data.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    return bytes(data.replace(b"\0s\0R\0G\0B", b"\0o\0d\0d\0."))  # its description, in UTF-16


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_color_profile_is_applied(form):
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    plain = images.decode(encoded(red, form))[8, 8].astype(int)
    assert np.abs(plain - [255, 0, 0]).max() <= 2
    color = images.decode(encoded(red, form, icc_profile=swapped_profile()))[8, 8].astype(int)
    assert np.abs(color - [0, 255, 0]).max() <= 40  # red as green


def test_a_profile_of_srgb_and_one_that_is_damaged_change_nothing():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile", swapped_profile()[:200]):
        data = encoded(image, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(images.decode(data), np.asarray(image))


def srgb_profile(**numbers) -> bytes:
    """Return an sRGB profile; with `gamma`, that power in place of its curve, as GIMP has 1."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    if "gamma" in numbers:
        at = profile.index(b"para") + 12  # of Y = (aX + b)^g from d on, cX below: g, a, b, c, d
        values = (numbers["gamma"], 1, 0, 1, 0)
        profile[at : at + 20] = struct.pack(">5i", *(round(value * 65536) for value in values))
    return bytes(profile)


def gray_profile(gamma: float) -> bytes:
    """Return a profile of gray with a power curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"wtpt", white), (b"kTRC", curve)]
    at, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", at + len(data), len(content))
        data += content
    header = bytearray(128)
    header[8:12] = struct.pack(">I", 0x02400000)
    header[12:24] = b"mntrGRAYXYZ "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    whole = bytes(header) + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


def test_a_profile_is_compared_by_its_numbers_and_not_by_its_name():
    """GIMP's profile of linear light has sRGB in its name, too."""
    image = Image.new("RGB", (3, 3), (120, 200, 60))
    linear = encoded(image, "PNG", icc_profile=srgb_profile(gamma=1))
    assert images.decode(linear)[0, 0] == pytest.approx([182, 229, 133], abs=2)
    unnamed = srgb_profile().replace(b"\0s\0R\0G\0B", b"\0o\0d\0d\0.")
    assert images.decode(encoded(image, "PNG", icc_profile=unnamed))[0, 0].tolist() == [
        120,
        200,
        60,
    ]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "PA"])
def test_a_profile_is_applied_to_every_mode_of_color(mode):
    image = Image.new("RGB", (8, 8), (120, 200, 60)).convert("P").convert(mode)
    form = "TIFF" if mode == "PA" else "PNG"
    plain = images.decode(encoded(image, form))[0, 0].astype(int)
    light = images.decode(encoded(image, form, icc_profile=srgb_profile(gamma=1)))[0, 0]
    assert (light > plain + 20).all()


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_profile_is_applied_to_every_mode_of_gray(mode):
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 120 * 257, dtype=np.uint16))
    else:
        image = Image.new("L", (8, 8), 120).convert(mode)
    light = images.decode(encoded(image, "PNG", icc_profile=gray_profile(1)))[0, 0]
    assert light == pytest.approx([182, 182, 182], abs=2)


def test_transparency_of_sixteen_bits_is_kept():
    gray = Image.fromarray(np.array([[0, 40_000, 40_001]], dtype=np.uint16))
    assert images.decode(encoded(gray, "PNG", transparency=40_000))[0, :, 0].tolist() == [
        0,
        255,
        156,
    ]
    values = np.array([[[1, 2, 3], [30_000, 20_000, 10_000]]], dtype=">u2")
    data = png_of_sixteen_bits(values, clear=(30_000, 20_000, 10_000))
    assert images.decode(data)[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def png_of_sixteen_bits(values, clear) -> bytes:
    """Return a PNG file of RGB with a transparent color, which Pillow does not write."""
    height, width, _ = values.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">3H", *clear))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_colors_of_sixteen_bits_are_known_from_the_header():
    deep = png_of_sixteen_bits(np.zeros((2, 2, 3), ">u2"), (1, 1, 1))
    many = b"P6 1 1 65535\n" + bytes(6)
    plain = encoded(Image.new("RGB", (2, 2)), "PNG")
    shown = [images.inspect(data, whole=True).shown for data in (deep, many, plain)]
    assert shown == [images.DEEP_COLOR, images.DEEP_COLOR, ""]


@pytest.mark.parametrize(
    ("values", "gray"),
    [
        (np.array([[0, 255]], np.uint16), [0, 1]),
        (np.array([[0, 256]], np.uint16), [0, 1]),
        (np.array([[0, 255, 256, 65535, 70_000]], np.int32), [0, 1, 1, 255, 255]),
        (np.array([[0.5, 1.0]], np.float32), [128, 255]),
        (np.array([[0.5, 1.0001]], np.float32), [128, 255]),
    ],
)
def test_the_scale_is_that_of_the_type_whatever_the_brightest_pixel(values, gray):
    assert images.decode(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == gray


@pytest.mark.parametrize("place", ["exif_transpose", "buildTransform"])
def test_a_lack_of_memory_does_not_leave_colors_or_orientation_as_they_are(place, monkeypatch):
    def starve(*_, **__):
        raise MemoryError

    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (4, 2)), "PNG", exif=exif, icc_profile=srgb_profile(gamma=1.7))
    monkeypatch.setattr(ImageOps if place in vars(ImageOps) else ImageCms, place, starve)
    with pytest.raises(InputError, match="more memory"):
        images.decode(data)


def test_damaged_exif_is_ignored():
    image = Image.new("RGB", (16, 8), "red")
    data = encoded(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert images.decode(data).shape == (8, 16, 3)
    data = encoded(image, "PNG", exif=b"Exif\0\0no tiff at all")
    assert images.decode(data).shape == (8, 16, 3)


def test_a_cmyk_jpeg_has_the_colors_of_its_inks():
    """No ink at all is white; full magenta and yellow are red."""
    for inks, rgb in (((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0))):
        color = images.decode(encoded(Image.new("CMYK", (16, 16), inks), "JPEG"))[8, 8].astype(int)
        assert np.abs(color - rgb).max() <= 2


def test_a_progressive_jpeg_decodes_as_a_baseline_jpeg():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    both = [images.decode(encoded(image, "JPEG", progressive=p)) for p in (False, True)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_frame_is_decoded_in_every_format(form):
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert np.abs(images.decode(data)[4, 4].astype(int) - [255, 0, 0]).max() <= 3


def test_the_format_follows_the_bytes_and_not_the_name(tmp_path):
    (tmp_path / "x.jpg").write_bytes(encoded(Image.new("RGB", (3, 3), "red"), "PNG"))
    assert images.read_image(tmp_path / "x.jpg")[0, 0].tolist() == [255, 0, 0]
    assert images.identify((tmp_path / "x.jpg").read_bytes()) == "PNG"


def test_float_and_palette_with_transparency():
    gray = Image.fromarray(np.array([[0, 0.5, 1, np.nan, np.inf, -1]], dtype=np.float32))
    pixels = images.decode(encoded(gray, "TIFF"))[0, :, 0].tolist()
    assert pixels == [0, 128, 255, 0, 0, 0]
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    pixels = images.decode(encoded(image, "PNG", transparency=b"\x80\xff"))[0]
    assert pixels.tolist() == [[132, 137, 142], [200, 100, 50]]  # a half of white, and none


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
def test_conversion_in_bands_gives_the_same_pixels(mode, monkeypatch):
    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (50, 9), dtype=np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (50, 9, 4), dtype=np.uint8))
        image = image.quantize(16) if mode == "P" else image
    data = encoded(image, "PNG")
    whole = images.decode(data)
    monkeypatch.setattr("toolkit.io.color.BAND", 60)
    np.testing.assert_array_equal(images.decode(data), whole)


def test_the_limits_are_parameters():
    data = images.encode_png(np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="30 x 20 pixels are more than 500"):
        images.decode(data, images.ImageLimits(pixels=500))
    with pytest.raises(InputError, match="bytes are more than 50"):
        images.decode(data, images.ImageLimits(bytes=50))


def test_the_default_limits_of_the_audit_are_those_of_decoding():
    assert params.AuditParams().limits == images.LIMITS
    assert images.LIMITS.memory < 1_000_000_000


@pytest.mark.parametrize("size", [None, 16])
def test_comments_and_profiles_are_not_encoded(size):
    """A comment would be copied, and a profile that was applied would be wrong."""
    stream, profile = io.BytesIO(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    photo = Image.new("RGB", (20, 20), "red")
    photo.save(stream, "JPEG", comment=b"by me", icc_profile=profile.tobytes())
    picture = images.decode_picture(stream.getvalue(), size)
    for encoder in images.ENCODERS.values():
        data = encoder(picture)
        assert b"by me" not in data
        assert "icc_profile" not in Image.open(io.BytesIO(data)).info


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "WEBP"])
def test_an_image_with_a_wrong_header_is_damaged_and_not_no_image(form):
    data = bytearray(encoded(Image.new("RGB", (8, 8)), form))
    data[8:40] = bytes(32)
    with pytest.raises(InputError, match="damaged image"):
        images.decode(bytes(data))


def test_what_pillow_logs_is_in_the_reason_and_nowhere_else(capfd):
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "TIFF"))
    at = data.index(b"\x15\x01\x03\x00")  # SamplesPerPixel
    data[at + 8] = 200
    with pytest.raises(InputError, match=r"damaged image .*More samples per pixel"):
        images.decode(bytes(data))
    assert capfd.readouterr() == ("", "")
