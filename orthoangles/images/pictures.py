"""Radiographs saved as pictures: PNG, JPEG and TIFF."""

import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images import tags
from orthoangles.images.image import Image
from orthoangles.images.itk import grey_array, luminance, read_with_itk

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
# Grey values (rows, columns) and warnings.
Picture = tuple[np.ndarray, list[str]]


def kind_of(head: bytes) -> str | None:
    """Kind of a picture file, "PNG", "JPEG" or "TIFF", by its first bytes; None for others."""
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None)


def read(path: Path, name: str, kind: str) -> Image:
    """One grey picture as an image at origin 0 with spacing 1 of unknown source. Raises :class:`ImageError`."""
    readers: dict[str, Callable[[Path, bytes, str], Picture]] = {"PNG": _png, "JPEG": _jpeg, "TIFF": _tiff}
    array, warnings = readers[kind](path, path.read_bytes(), name)
    return Image(np.ascontiguousarray(array)[None], name=name, warnings=tuple(warnings))


def _decoded(path: Path, image_io: str, name: str, compact: bool = False) -> Picture:
    image = read_with_itk(path, image_io, name, compact=compact)
    if image.GetDimension() != 2:
        raise ImageError(f"{name}: holds several pictures; save the one to be measured as a file of its own.")
    return grey_array(image, name)


def _turned(picture: Picture, orientation: int) -> Picture:
    array, warnings = picture
    if orientation == 1:
        return picture
    note = f"The picture was turned or mirrored as its EXIF orientation ({orientation}) asks; check left and right."
    return tags.upright(array, orientation), [*warnings, note]


# --- PNG
def _png(path: Path, data: bytes, name: str) -> Picture:
    chunks = _png_chunks(data, name)
    if b"acTL" in chunks:
        raise ImageError(f"{name}: is an animated PNG; save the picture to be measured as a plain PNG.")
    colour = data[25]
    if colour == 4:
        picture = _grey_alpha_png(path, name)
    elif colour == 0 and b"tRNS" in chunks:
        picture = _without_transparency(data, chunks[b"tRNS"], name)
    else:
        picture = _decoded(path, "PNGImageIO", name, compact=True)
    exif = chunks.get(b"eXIf")
    return _turned(picture, tags.exif_orientation(data[exif]) if exif else 1)


def _png_chunks(data: bytes, name: str) -> dict[bytes, slice]:
    """Where the content of each kind's first chunk lies, after a check of every checksum up to the end marker."""
    found: dict[bytes, slice] = {}
    at = 8
    while b"IEND" not in found:
        if at + 12 > len(data):
            raise ImageError(f"{name}: the PNG is cut off; copy or export it again.")
        length, kind = struct.unpack_from(">I4s", data, at)
        content = slice(at + 8, at + 8 + length)
        checksum = data[content.stop : content.stop + 4]
        if zlib.crc32(memoryview(data)[at + 4 : content.stop]) != int.from_bytes(checksum, "big") or len(checksum) < 4:
            raise ImageError(f"{name}: the PNG is damaged or cut off; copy or export it again.")
        found.setdefault(kind, content)
        at = content.stop + 4
    header = found.get(b"IHDR")
    if header is None or header.start != 16 or header.stop != 29 or b"IDAT" not in found:
        raise ImageError(f"{name}: the PNG holds no picture; copy or export it again.")
    return found


def _grey_alpha_png(path: Path, name: str) -> Picture:
    # ITK hands on no pixels of two values; matplotlib, which is here for the figures, does.
    from matplotlib.image import imread

    try:
        pixels = imread(path)
    except Exception:
        raise ImageError(f"{name}: the PNG is damaged; copy or export it again.") from None
    return luminance(np.rint(pixels * 255).astype(np.uint8))


def _without_transparency(data: bytes, content: slice, name: str) -> Picture:
    plain = data[: content.start - 8] + data[content.stop + 4 :]
    picture = _from_bytes(plain, "PNGImageIO", name)
    return picture[0], [*picture[1], "One grey value of the picture is marked transparent; it was kept as it is."]


def _from_bytes(data: bytes, image_io: str, name: str) -> Picture:
    with tempfile.TemporaryDirectory(prefix="orthoangles-") as folder:
        copy = Path(folder, "picture")
        copy.write_bytes(data)
        return _decoded(copy, image_io, name)


# --- JPEG
def _jpeg(path: Path, data: bytes, name: str) -> Picture:
    orientation, scan = _jpeg_header(data)
    # Inside the picture 0xFF is always followed by 0, so that an end marker after the scan's start is a real one.
    if scan is None or data.find(b"\xff\xd9", scan) < 0:
        raise ImageError(f"{name}: the JPEG is cut off; copy or export it again.")
    return _turned(_decoded(path, "JPEGImageIO", name), orientation)


def _jpeg_header(data: bytes) -> tuple[int, int | None]:
    """EXIF orientation, and where the first scan starts (None where there is none)."""
    at, orientation = 2, 1
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # Fill bytes.
            at += 1
            continue
        if marker == 0xDA:
            return orientation, at
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = tags.exif_orientation(data[at + 10 : at + 2 + length])
        at += 2 + max(2, length)
    return orientation, None


# --- TIFF
def _tiff(path: Path, data: bytes, name: str) -> Picture:
    page = _tiff_page(data, name)
    wanted = (tags.ORIENTATION, tags.PHOTOMETRIC)
    orientation, photometric = (page[tag].values[0] if tag in page else 1 for tag in wanted)
    if not 1 <= orientation <= 8:
        orientation = 1
    # ITK turns some orientations to 8 bit colour and inverts white-is-zero at 8 bits only: it gets neither to see.
    plain = bytearray(data)
    for tag, value in ((tags.ORIENTATION, orientation), (tags.PHOTOMETRIC, photometric)):
        if (tag, value) == (tags.PHOTOMETRIC, 0) or (tag == tags.ORIENTATION and value != 1):
            struct.pack_into(page[tag].format, plain, page[tag].offset, 1)
    if plain != data:
        array, warnings = _from_bytes(bytes(plain), "TIFFImageIO", name)
    else:
        array, warnings = _decoded(path, "TIFFImageIO", name)
    if array.dtype.itemsize == 1 and tags.BITS in page and page[tags.BITS].values[0] > 8:
        # Tiles and rarer layouts come by libtiff's conversion to 8 bit colour.
        raise ImageError(f"{name}: this kind of TIFF loses its depth here; save it as a plain (not tiled) TIFF or PNG.")
    if photometric == 0:
        top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else array.max()
        array = top - array
    return _turned((array, warnings), orientation)


def _tiff_page(data: bytes, name: str) -> dict[int, tags.Tag]:
    try:
        pages = tags.directories(data)
    except ValueError:
        raise ImageError(f"{name}: the TIFF is damaged or cut off; copy or export it again.") from None
    pages = [page for page in pages if tags.NEW_SUBFILE not in page or not page[tags.NEW_SUBFILE].values[:1] > (0,)]
    if len(pages) != 1:
        raise ImageError(
            f"{name}: the TIFF holds {len(pages)} pictures; save the one to be measured as a file of its own."
        )
    page = pages[0]
    if any(not tag.values for tag in page.values()):
        raise ImageError(f"{name}: the TIFF is damaged; copy or export it again.")
    if tags.SAMPLES in page and page[tags.SAMPLES].values[0] not in (1, 3, 4):
        raise ImageError(f"{name}: each pixel holds {page[tags.SAMPLES].values[0]} values; save it as one grey image.")
    for offsets, sizes in ((tags.STRIP_OFFSETS, tags.STRIP_BYTES), (tags.TILE_OFFSETS, tags.TILE_BYTES)):
        if offsets in page and sizes in page:
            ends = (at + size for at, size in zip(page[offsets].values, page[sizes].values, strict=False))
            if max(ends, default=0) > len(data):
                raise ImageError(f"{name}: the TIFF is cut off; copy or export it again.")
    return page
