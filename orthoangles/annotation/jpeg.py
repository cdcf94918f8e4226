"""A JPEG without all that is not picture: EXIF, comments, thumbnails and whatever follows its end."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# What decoding needs: Huffman, arithmetic and quantisation tables, restart interval, number of lines.
_NEEDED = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDC, 0xDD}
_APP0, _EXIF, _ADOBE = 0xE0, 0xE1, 0xEE
_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA


def bare_jpeg(data: bytes) -> tuple[bytes, tuple[int, int]] | None:
    """The same picture, bit by bit, without any text, and its size (columns, rows).

    None where it is no whole JPEG, or where its EXIF block turns it: then its pixels must be written anew.
    """
    if not data.startswith(_START):
        return None
    kept, size, at = [_START], None, 2
    while data[at : at + 1] == b"\xff" and at + 2 <= len(data):
        marker = data[at + 1]
        if marker == 0xFF:  # Fill bytes.
            at += 1
            continue
        if data[at : at + 2] == _END:
            return (b"".join([*kept, _END]), size) if size else None
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at:end]
        if marker == _EXIF and _turns(segment):
            return None
        if marker in _FRAMES:
            size = int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
        kept.append(_bare_segment(marker, segment))
        if marker == _SCAN:
            at, end = end, _end_of_scan(data, end)
            kept.append(data[at:end])
        at = end
    return None


def _bare_segment(marker: int, segment: bytes) -> bytes:
    if marker in _NEEDED or marker == _SCAN:
        return segment
    if marker == _APP0 and segment[4:9] == b"JFIF\0":
        # Without its thumbnail: the length is 16, the thumbnail 0 x 0.
        return b"\xff\xe0\x00\x10" + segment[4:16] + b"\0\0"
    if marker == _ADOBE and segment[4:9] == b"Adobe":
        return b"\xff\xee\x00\x0e" + segment[4:16]  # Says how colours are stored.
    return b""


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the next marker is: inside a scan 0xFF is followed by 0 or is a restart marker."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
    return len(data)


def _turns(segment: bytes) -> bool:
    from orthoangles.images.tags import exif_orientation

    return segment[4:10] == b"Exif\0\0" and exif_orientation(segment[10:]) != 1
