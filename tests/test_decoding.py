"""Pictures as pixels: nothing is lost without a word."""

import numpy as np
import pytest
from picture_files import encoded, noise, png
from PIL import Image

from ganbench import decoding
from ganbench.decoding import Advice, Encoded, Form, decode, in_channels, picture, pixels
from ganbench.errors import DataError

RGB = noise(8, 8, 3)
GREY = noise(8, 8, seed=1)


def held(content, name="some.png"):
    return Encoded(name, lambda: content)


def read(content, form=None):
    form = form or Form(8, 3)
    return pixels("some.png", picture(held(content)), form)


def with_alpha(alpha):
    image = Image.fromarray(RGB).convert("RGBA")
    image.putpixel((1, 2), (*RGB[2, 1].tolist(), alpha))
    return image


def palette():
    """A picture of a palette, and the colours that it shows."""
    image = Image.fromarray(RGB).quantize(8)
    return image, np.asarray(image.convert("RGB")).transpose(2, 0, 1)


LOSSLESS = {
    "RGB": (encoded(RGB), RGB.transpose(2, 0, 1)),
    "BMP": (encoded(RGB, "BMP"), RGB.transpose(2, 0, 1)),
    "TIFF": (encoded(RGB, "TIFF", compression="tiff_lzw"), RGB.transpose(2, 0, 1)),
    "WebP": (encoded(RGB, "WEBP", lossless=True), RGB.transpose(2, 0, 1)),
    "PPM": (encoded(RGB, "PPM"), RGB.transpose(2, 0, 1)),
    "grey": (encoded(GREY), np.stack([GREY] * 3)),
    "PGM": (encoded(GREY, "PPM"), np.stack([GREY] * 3)),
    "black and white": (encoded(Image.fromarray(GREY > 99)), np.stack([(GREY > 99) * np.uint8(255)] * 3)),
    "opaque RGBA": (encoded(with_alpha(255)), RGB.transpose(2, 0, 1)),
    "opaque LA": (encoded(Image.fromarray(GREY).convert("LA")), np.stack([GREY] * 3)),
    "palette": (encoded(palette()[0]), palette()[1]),
    "GIF": (encoded(palette()[0], "GIF"), palette()[1]),
    "palette, opaque alpha": (encoded(palette()[0], transparency=bytes([255] * 8)), palette()[1]),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_what_has_8_bits_a_channel_and_is_opaque_keeps_its_pixels(kind):
    content, expected = LOSSLESS[kind]
    assert np.array_equal(read(content), expected)


REFUSED = {
    "transparent RGBA": (encoded(with_alpha(254)), "transparent in places.*magick IN -background white -flatten OUT"),
    "transparent LA": (encoded(Image.fromarray(np.dstack([GREY, GREY]), "LA")), "transparent in places"),
    "transparent palette": (
        encoded(palette()[0], transparency=palette()[0].getpixel((0, 0))),
        "transparent in places",
    ),
    "transparent colour": (
        encoded(Image.fromarray(RGB), transparency=tuple(RGB[0, 0].tolist())),
        "transparent in places",
    ),
    "16-bit grey": (encoded(GREY.astype(np.uint16)), "more than 8 bits a channel.*magick IN -depth 8 OUT"),
    "16-bit RGB": (png(8, 8, 16, (b"\0" + bytes(48)) * 8), "more than 8 bits a channel"),
    "16-bit PPM": (b"P6 8 8 65535\n" + bytes(384), "more than 8 bits a channel"),
    "10-bit PPM": (b"P6 8 8 1023\n" + bytes(384), "more than 8 bits a channel"),
    "floating numbers": (encoded(GREY.astype(np.float32), "TIFF"), "more than 8 bits a channel"),
    "CMYK": (encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "of mode CMYK.*magick IN -colorspace sRGB OUT"),
    "an animation": (
        encoded(Image.fromarray(RGB), "GIF", save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        "several pictures in one file",
    ),
    "a huge picture": (png(12_000, 10_000, 8, b""), r"more than the 89,478,485 pixels"),
    "a monstrous picture": (png(60_000, 60_000, 8, b""), r"more than the 89,478,485 pixels"),
    "a cut picture": (encoded(RGB)[:-40], "not a whole picture .*Replace it, or delete it"),
    "a cut JPEG": (encoded(noise(64, 64, 3), "JPEG")[:-400], "not a whole picture"),
    "a cut header": (encoded(RGB)[:20], "Replace it, or delete it"),
    "text": (b"not found", "none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "none of BMP"),
    "nothing": (b"", "none of BMP"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_lose_something_is_refused_by_name(kind):
    content, message = REFUSED[kind]
    with pytest.raises(DataError, match=f"^some.png: .*{message}") as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert "object at" not in str(caught.value)


def test_a_picture_lies_as_a_viewer_shows_it():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a viewer turns the picture 90° clockwise
    content = encoded(Image.fromarray(GREY), exif=exif)
    assert np.array_equal(read(content)[0], np.rot90(GREY, -1))


@pytest.mark.parametrize(("crop", "columns"), [("centre", slice(4, 12)), ("stretch", slice(0, 16))])
def test_another_size_is_cut_or_stretched(crop, columns):
    wide = noise(8, 16, 3)
    expected = np.asarray(Image.fromarray(wide[:, columns]).resize((4, 4), Image.Resampling.BILINEAR))
    assert np.array_equal(read(encoded(wide), Form(4, 3, crop)), expected.transpose(2, 0, 1))


def test_what_has_the_size_already_is_not_touched_by_cropping():
    for crop in ("exact", "centre", "stretch"):
        assert np.array_equal(read(encoded(RGB), Form(8, 3, crop)), RGB.transpose(2, 0, 1))


def test_more_pixels_than_memory_holds_are_refused_before_any_are_made():
    message = r"^a.png: 2 images at resolution 100,000,000 need 20.0 PB, this machine has .* of memory. State a smaller"
    with pytest.raises(DataError, match=message):
        decode([held(encoded(GREY), "a.png")] * 2, 2, Form(10**8, 1, "stretch"))


def test_advice_is_that_of_whoever_asked():
    advice = Advice(square="Cut it", size="Resize it", grey="Bleach it")
    wide = noise(8, 16, 3)
    with pytest.raises(DataError, match=r"expected a square\. Cut it$"):
        decode([held(encoded(wide))], 1, Form(advice=advice))
    with pytest.raises(DataError, match=r"16×8 pixels, expected 8×8\. Resize it$"):
        read(encoded(wide), Form(8, 3, advice=advice))
    with pytest.raises(DataError, match=r"expected grey\. Bleach it$"):
        read(encoded(RGB), Form(8, 1, advice=advice))


def test_halving_averages_with_the_triangle_filter():
    white_half = np.zeros((8, 8), dtype=np.uint8)
    white_half[:, 4:] = 255
    row = read(encoded(white_half), Form(4, 1, "stretch"))[0, 0]
    assert row.tolist() == [0, round(255 / 8), round(255 * 7 / 8), 255]  # weights 1, 3, 3, 1 of 8


def test_another_size_is_refused_where_it_must_be_exact():
    with pytest.raises(DataError, match=r"^some.png: 16×8 pixels, expected 8×8. State crop=centre or crop=stretch"):
        read(encoded(noise(8, 16, 3)))


def test_grey_in_three_equal_channels_is_grey():
    three = np.stack([GREY] * 3, axis=-1)
    assert np.array_equal(read(encoded(three), Form(8, 1)), GREY[None])


def test_colours_are_refused_where_grey_is_expected():
    with pytest.raises(DataError, match=r"^some.png: in colour, expected grey. State channels=3"):
        read(encoded(RGB), Form(8, 1))


def test_many_images_change_their_axes_at_once():
    many = noise(5, 8, 6, 3)
    assert np.array_equal(in_channels("x", many, Form(8, 3)), many.transpose(0, 3, 1, 2))
    assert np.array_equal(in_channels("x", many[..., 0], Form(8, 3)), np.stack([many[..., 0]] * 3, axis=1))
    assert np.array_equal(in_channels("x", many[..., 0], Form(8, 1)), many[:, None, :, :, 0])


def test_the_first_picture_decides_what_is_not_stated():
    pictures = [held(encoded(GREY), "a.png"), held(encoded(np.stack([GREY] * 3, axis=-1)), "b.png")]
    assert decode(pictures, 2, Form()).shape == (2, 1, 8, 8)
    assert decode(pictures, 2, Form(channels=3)).shape == (2, 3, 8, 8)
    assert decode(pictures[::-1], 2, Form()).shape == (2, 3, 8, 8)
    with pytest.raises(DataError, match=r"a.png: 6×8 pixels, expected a square. State a resolution"):
        decode([held(encoded(noise(8, 6)), "a.png")], 1, Form())


def test_pictures_come_in_their_order_however_many_batches_they_take(monkeypatch):
    monkeypatch.setattr(decoding, "BATCH", 4)
    images = noise(11, 8, 8)
    found = decode((held(encoded(image)) for image in images), 11, Form())
    assert np.array_equal(found[:, 0], images)


def test_of_several_broken_pictures_the_first_is_named():
    contents = [encoded(GREY), encoded(GREY), b"broken", encoded(GREY), b"broken too"]
    for _ in range(5):
        with pytest.raises(DataError, match=r"^2\.png"):
            decode([held(content, f"{index}.png") for index, content in enumerate(contents)], 5, Form())


def test_a_picture_that_cannot_be_read_says_why():
    def refuse():
        raise PermissionError(13, "Permission denied")

    with pytest.raises(DataError, match=r"^x.png: cannot be read \(Permission denied\)"):
        picture(Encoded("x.png", refuse))
