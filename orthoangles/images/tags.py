"""Tag directories of TIFF files and of EXIF blocks in JPEG and PNG: the few facts that decoders do not hand on."""

import struct
from dataclasses import dataclass

ORIENTATION, PHOTOMETRIC, SAMPLES, NEW_SUBFILE, BITS = 274, 262, 277, 254, 258
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325

_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_DIRECTORIES = 10_000


@dataclass(frozen=True)
class Tag:
    """Integer values of a tag and where the first of them lies in the file, for writing another in its place."""

    values: tuple[int, ...]
    offset: int
    format: str


def directories(data: bytes) -> list[dict[int, Tag]]:
    """Integer tags of each main directory (page) of a TIFF or BigTIFF block, by tag number.

    A block that is cut off or loops raises :class:`ValueError`.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no TIFF block")
    try:
        return _chain(data, order)
    except struct.error:
        raise ValueError("cut off") from None


def _chain(data: bytes, order: str) -> list[dict[int, Tag]]:
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    count_format, pointer, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    at = struct.unpack_from(order + pointer, data, 8 if big else 4)[0]
    found: list[dict[int, Tag]] = []
    seen: set[int] = set()
    while at:
        if at in seen or len(found) >= _MOST_DIRECTORIES:
            raise ValueError("loop")
        seen.add(at)
        count = struct.unpack_from(order + count_format, data, at)[0]
        first = at + struct.calcsize(count_format)
        if first + count * entry > len(data):
            raise ValueError("cut off")
        found.append(dict(filter(None, (_tag(data, order, pointer, first + n * entry) for n in range(count)))))
        end = first + count * entry
        # EXIF blocks often end without the pointer to a next directory.
        at = struct.unpack_from(order + pointer, data, end)[0] if end + struct.calcsize(pointer) <= len(data) else 0
    return found


def _tag(data: bytes, order: str, pointer: str, at: int) -> tuple[int, Tag] | None:
    number, kind = struct.unpack_from(order + "HH", data, at)
    count = struct.unpack_from(order + pointer, data, at + 4)[0]
    value = at + 4 + struct.calcsize(pointer)
    letter = _TYPES.get(kind)
    if letter is None or letter == "s":
        return None
    length = count * struct.calcsize(letter)
    if length > struct.calcsize(pointer):
        value = struct.unpack_from(order + pointer, data, value)[0]
    if value + length > len(data):
        raise ValueError("cut off")
    return number, Tag(struct.unpack_from(f"{order}{count}{letter}", data, value), value, order + letter)


def exif_orientation(block: bytes) -> int:
    """EXIF orientation 1 to 8 of an EXIF (TIFF) block; 1 where it says none or is damaged."""
    try:
        tag = directories(block)[0].get(ORIENTATION)
    except (ValueError, IndexError):
        return 1
    return tag.values[0] if tag and tag.values and 1 <= tag.values[0] <= 8 else 1


def upright(array, orientation: int):
    """Pixels (rows, columns) turned and mirrored as EXIF orientation 1 to 8 asks, for being seen upright."""
    if orientation >= 5:
        array = array.T
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
