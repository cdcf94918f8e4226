"""PNG, JPEG and TIFF, written by pillow and SimpleITK, against what was put in."""

import struct
import time

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Pillow
from support.image_files import grey

from orthoangles.errors import ImageError
from orthoangles.images import read_image

pytestmark = pytest.mark.unit

EXACT = ["png", "tif"]
# What a viewer does by the EXIF standard's table 6 for tag 274.
TURN = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


def saved(array: np.ndarray, path, mode: str | None = None, **options):
    picture = Pillow.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def pixels(path) -> np.ndarray:
    image = read_image(path)
    assert image.is_radiograph
    assert image.name == path.name
    assert image.spacing_source is None
    assert image.spacing.tolist() == [1, 1, 1]
    assert image.origin.tolist() == [0, 0, 0]
    assert image.modality is None
    return image.array[0]


# ---------------------------------------------------------------- grey


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_pixels_come_back_bit_by_bit(tmp_path, suffix, dtype):
    read = pixels(saved(grey(dtype=dtype), tmp_path / f"a.{suffix}"))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, grey(dtype=dtype))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_grey_jpeg_is_read(tmp_path, options):
    read = pixels(saved(grey(), tmp_path / "a.jpg", quality=98, **options))
    assert np.abs(read.astype(int) - grey()).max() < 6


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_packed_tiffs_come_back_bit_by_bit(tmp_path, compression, dtype):
    np.testing.assert_array_equal(
        pixels(saved(grey(dtype=dtype), tmp_path / "a.tif", compression=compression)), grey(dtype=dtype)
    )


def test_float_and_signed_tiffs_are_read(tmp_path):
    np.testing.assert_array_equal(pixels(saved(grey().astype(np.float32), tmp_path / "f.tif")), grey())
    np.testing.assert_array_equal(pixels(saved(grey().astype(np.int32) - 50, tmp_path / "i.tif")), grey() - 50.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_whose_zero_is_white_is_turned_bright_for_bone(tmp_path, dtype, compression):
    # Pillow itself inverts when it writes such a file with 8 bits, not with 16.
    shown = grey() if dtype == np.uint8 else np.iinfo(dtype).max - grey(dtype=dtype)
    path = saved(shown, tmp_path / "a.tif", tiffinfo={262: 0}, compression=compression)
    assert Pillow.open(path).tag_v2[262] == 0
    if compression is None:
        assert (np.iinfo(dtype).max - grey(dtype=dtype)).tobytes() in path.read_bytes()
    np.testing.assert_array_equal(pixels(path), grey(dtype=dtype))


def test_one_bit_pictures_are_read(tmp_path):
    for name in ("a.png", "a.tif"):
        path = saved(grey(), tmp_path / name, "1")
        np.testing.assert_array_equal(pixels(path) > 0, np.asarray(Pillow.open(path)))


def test_the_content_decides_and_not_the_suffix(tmp_path):
    np.testing.assert_array_equal(pixels(saved(grey(), tmp_path / "a.jpg", format="PNG")), grey())
    assert pixels(saved(grey(), tmp_path / "b.png", format="JPEG")).shape == grey().shape
    np.testing.assert_array_equal(pixels(saved(grey(), tmp_path / "noextension", format="TIFF")), grey())


def test_names_with_blanks_and_foreign_letters_are_read(tmp_path):
    np.testing.assert_array_equal(pixels(saved(grey(), tmp_path / "Wirbelsäule 日本 %d.png")), grey())


def test_the_resolution_of_a_scan_is_not_taken_for_spacing(tmp_path):
    for name in ("a.png", "a.tif", "a.jpg"):
        assert not read_image(saved(grey(), tmp_path / name, dpi=(300, 300))).has_spacing


# ---------------------------------------------------------------- colour, palette, alpha


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_grey_saved_as_colour_comes_back_without_a_word(tmp_path, suffix, mode):
    image = read_image(saved(grey(), tmp_path / f"a.{suffix}", mode))
    scale = image.array.max() / grey().max()
    np.testing.assert_array_equal(image.array[0], grey() * scale)
    assert image.warnings == ()


def test_a_colour_jpeg_of_a_grey_picture_gives_no_warning(tmp_path):
    image = read_image(saved(grey(), tmp_path / "a.jpg", "RGB"))
    assert image.warnings == ()
    assert np.abs(image.array[0].astype(int) - grey()).max() < 25


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_colours_become_luminance_with_a_warning(tmp_path, name):
    rgb = np.stack([grey()] * 3, axis=-1)
    rgb[20:50, 10:40] = (220, 30, 60)
    image = read_image(saved(rgb, tmp_path / name, **({"quality": 95} if name.endswith("jpg") else {})))
    expected = 0.299 * 220 + 0.587 * 30 + 0.114 * 60
    assert np.median(image.array[0, 25:45, 15:35]) == pytest.approx(expected, abs=2)
    assert any("colour" in warning for warning in image.warnings)


def test_a_thin_coloured_line_is_noticed_on_a_large_picture(tmp_path):
    rgb = np.stack([grey(1500, 900)] * 3, axis=-1)
    rgb[100:1400, 450:452] = (255, 0, 0)
    assert any("colour" in warning for warning in read_image(saved(rgb, tmp_path / "a.png")).warnings)


def test_16_bit_colour_keeps_its_depth(tmp_path):
    rgb = np.stack([grey(dtype=np.uint16)] * 3, axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(rgb, isVector=True), str(tmp_path / "a.png"))
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), grey(dtype=np.uint16))


def test_transparency_is_named(tmp_path):
    rgba = np.stack([*[grey()] * 3, np.full_like(grey(), 255)], axis=-1)
    rgba[:10, :10, 3] = 0
    for name in ("a.png", "a.tif"):
        assert any("transparent" in warning for warning in read_image(saved(rgba, tmp_path / name)).warnings)


def test_grey_with_alpha_is_read_from_png_and_refused_from_tiff(tmp_path):
    np.testing.assert_array_equal(pixels(saved(grey(), tmp_path / "a.png", "LA")), grey())
    with pytest.raises(ImageError, match=r"a\.tif"):
        read_image(saved(grey(), tmp_path / "a.tif", "LA"))


def test_a_grey_png_with_a_transparent_value_keeps_its_depth(tmp_path):
    path = saved(grey(dtype=np.uint16), tmp_path / "a.png", transparency=5)
    np.testing.assert_array_equal(pixels(path), grey(dtype=np.uint16))


def test_a_cmyk_jpeg_is_read_or_refused_but_never_wrong(tmp_path):
    path = saved(grey(), tmp_path / "a.jpg", "CMYK")
    try:
        read = pixels(path)
    except ImageError:
        return
    assert np.abs(read.astype(int) - grey()).max() < 25


# ---------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a16.tif"])
def test_exif_orientation_is_applied(tmp_path, name, orientation):
    exif = Pillow.Exif()
    exif[274] = orientation
    dtype = np.uint16 if "16" in name else np.uint8
    path = saved(grey(dtype=dtype), tmp_path / name, exif=exif)
    # Pillow turns a TIFF by itself and a JPEG or PNG not: what was put in is compared, turned here.
    stored = np.asarray(Pillow.open(path)) if name == "a.jpg" else grey(dtype=dtype)
    upright = np.asarray(Pillow.fromarray(stored).transpose(TURN[orientation])) if orientation > 1 else stored
    image = read_image(path)
    assert image.array[0].shape == upright.shape
    assert np.abs(image.array[0].astype(int) - upright).max() <= 2
    assert any("orientation" in warning for warning in image.warnings) == (orientation != 1)


@pytest.mark.parametrize(
    "block", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\xff"]
)
def test_a_damaged_exif_block_does_no_harm(tmp_path, block):
    path = saved(grey(), tmp_path / "a.jpg", quality=98)
    data = path.read_bytes()
    content = b"Exif\0\0" + block
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:])
    assert np.abs(pixels(path).astype(int) - grey()).max() < 6


# ---------------------------------------------------------------- several pictures, other formats


@pytest.mark.parametrize("shape", [(90, 60), (40, 40)])
def test_a_tiff_of_several_pages_is_refused(tmp_path, shape):
    more = [Pillow.fromarray(grey(*shape))]
    path = saved(grey(), tmp_path / "pages.tif", save_all=True, append_images=more)
    with pytest.raises(ImageError, match=r"pages\.tif.*2 pictures"):
        read_image(path)


def test_a_tiff_with_a_thumbnail_is_one_picture(tmp_path):
    thumbnail = Pillow.fromarray(grey(40, 40))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    path = saved(grey(), tmp_path / "a.tif", save_all=True, append_images=[thumbnail])
    if Pillow.open(path).n_frames != 2 or not _is_reduced(path):
        pytest.skip("this pillow cannot mark a page as a thumbnail")
    np.testing.assert_array_equal(pixels(path), grey())


def _is_reduced(path) -> bool:
    with Pillow.open(path) as picture:
        picture.seek(1)
        return picture.tag_v2.get(254) == 1


def test_an_animated_png_is_refused(tmp_path):
    more = [Pillow.fromarray(grey(seed=3))]
    with pytest.raises(ImageError, match="animated"):
        read_image(saved(grey(), tmp_path / "a.png", save_all=True, append_images=more))


def tiled_tiff(path, array: np.ndarray, side: int = 64):
    """Pillow writes no tiles, so this does: one directory, uncompressed, little-endian."""
    rows, columns = array.shape
    down, across = -(-rows // side), -(-columns // side)
    padded = np.zeros((down * side, across * side), array.dtype)
    padded[:rows, :columns] = array
    tiles = [padded[r * side :][:side, c * side :][:, :side].tobytes() for r in range(down) for c in range(across)]
    offsets = [8 + n * len(tiles[0]) for n in range(len(tiles))]
    end = 8 + len(tiles) * len(tiles[0])
    short = {256: columns, 257: rows, 258: 8 * array.dtype.itemsize, 259: 1, 262: 1, 277: 1, 322: side, 323: side}
    entries = [struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in short.items()]
    n = len(tiles)
    entries += [struct.pack("<HHII", tag, 4, n, at) for tag, at in ((324, end), (325, end + 4 * n))]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    lists = struct.pack(f"<{n}I", *offsets) + struct.pack(f"<{n}I", *[len(tile) for tile in tiles])
    path.write_bytes(b"II*\0" + struct.pack("<I", end + 8 * n) + b"".join(tiles) + lists + directory)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiled_tiff_is_read_or_refused_but_never_wrong(tmp_path, dtype):
    path = tiled_tiff(tmp_path / "a.tif", grey(200, 150, dtype))
    np.testing.assert_array_equal(np.asarray(Pillow.open(path)), grey(200, 150, dtype))
    try:
        read = pixels(path)
    except ImageError:
        return
    np.testing.assert_array_equal(read, grey(200, 150, dtype))


@pytest.mark.parametrize(
    ("name", "options"), [("a.bmp", {}), ("a.gif", {}), ("a.webp", {}), ("a.jp2", {}), ("a.pdf", {})]
)
def test_other_formats_are_refused_with_those_that_are_read(tmp_path, name, options):
    path = saved(grey(), tmp_path / name, "RGB", **options)
    with pytest.raises(ImageError, match=rf"{name}.*DICOM, PNG"):
        read_image(path)


@pytest.mark.parametrize("suffix", EXACT)
def test_nothing_to_see_is_refused(tmp_path, suffix):
    with pytest.raises(ImageError, match="same value"):
        read_image(saved(np.full((90, 60), 7, np.uint8), tmp_path / f"a.{suffix}"))
    with pytest.raises(ImageError, match="12 x 90"):
        read_image(saved(grey(90, 12), tmp_path / f"b.{suffix}"))


def test_a_float_tiff_with_nan_is_refused(tmp_path):
    array = grey().astype(np.float32)
    array[3, 3] = np.nan
    with pytest.raises(ImageError, match="finite"):
        read_image(saved(array, tmp_path / "a.tif"))


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize("mode", [None, "RGB"])
def test_a_large_png_costs_little_more_than_its_decoding(tmp_path, mode):
    array = np.random.default_rng(0).integers(0, 200, (4000, 2000), np.uint8) // 16 * 16
    path = saved(array, tmp_path / "a.png", mode, compress_level=1)
    read_image(path)

    def seconds(call) -> float:
        start = time.process_time()
        call(str(path))
        return time.process_time() - start

    ours = min(seconds(read_image) for _ in range(3))
    bare = min(seconds(lambda p: sitk.GetArrayFromImage(sitk.ReadImage(p))) for _ in range(3))
    assert ours - bare < 0.5
