"""NRRD, NIfTI and MetaImage: volumes, and radiographs saved as flat ones."""

import gzip
import re
import struct
import zlib
from pathlib import Path

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images.image import Image
from orthoangles.images.itk import grey_array, read_with_itk

_IMAGE_IOS = {"NRRD": "NrrdImageIO", "NIfTI": "NiftiImageIO", "MetaImage": "MetaImageIO"}
_NIFTI_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz")
_GZIP = b"\x1f\x8b"


def kind_of(head: bytes) -> str | None:
    """Kind of a volume file, "NRRD", "NIfTI" or "MetaImage", by its first kilobyte; None for others."""
    if head.startswith(b"NRRD0"):
        return "NRRD"
    if head.startswith(_GZIP):
        # wbits 31: gzip; half a stream is enough for the header.
        try:
            head = zlib.decompressobj(31).decompress(head, 1024)
        except zlib.error:
            return None
    if _nifti_layout(head):
        return "NIfTI"
    keys = {key.lower() for key in re.findall(rb"^\s*(\w+)\s*=", head, re.MULTILINE)}
    return "MetaImage" if b"ndims" in keys and keys & {b"objecttype", b"dimsize"} else None


def read(path: Path, name: str, kind: str) -> Image:
    """The image of an NRRD, NIfTI or MetaImage file. Raises :class:`ImageError`."""
    if kind == "NIfTI":
        compact, stated, warnings = _check_nifti(path, name)
    else:
        compact, stated, warnings = _check_text_header(path, name, kind)
    stored = read_with_itk(path, _IMAGE_IOS[kind], name, compact=compact)
    size = stored.GetSize()
    if any(n > 1 for n in size[3:]):
        raise ImageError(
            f"{name}: has {len(size)} dimensions ({' x '.join(map(str, size))}); "
            "save one time point or channel as a 3D volume."
        )
    array, more = grey_array(stored, name)
    array = array[None] if array.ndim == 2 else array.reshape(array.shape[-3:])
    array, spacing, origin, direction = _as_seen(array, *_geometry(stored))
    return Image(
        array,
        spacing=spacing if stated else (1.0, 1.0, 1.0),
        origin=origin,
        direction=direction,
        spacing_source=f"{kind} header" if stated else None,
        name=name,
        warnings=(*warnings, *more),
    )


def _geometry(stored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spacing, origin and direction in three dimensions: a flat image lies in the plane z = 0."""
    used = min(3, stored.GetDimension())
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    spacing[:used] = stored.GetSpacing()[:used]
    origin[:used] = stored.GetOrigin()[:used]
    direction[:used, :used] = np.reshape(stored.GetDirection(), (stored.GetDimension(),) * 2)[:used, :used]
    # Without the last digit's noise of the quaternions and quotients in headers.
    return spacing, origin, np.round(direction, 12) + 0.0


def _as_seen(array: np.ndarray, spacing: np.ndarray, origin: np.ndarray, direction: np.ndarray):
    """A volume with one layer turned to one slice as it is looked at; each pixel stays where it is in space.

    Columns run to the patient's left (to the back where the plane is sagittal), rows to the feet (to the back where the
    plane is axial).
    """
    thin = [axis for axis in range(3) if array.shape[2 - axis] == 1]
    if len(thin) != 1:
        return array, spacing, origin, direction
    plane = [axis for axis in range(3) if axis != thin[0]]
    # Along which LPS axis each of the two runs: the lower one makes the columns.
    columns, rows = sorted(plane, key=lambda axis: int(np.abs(direction[:, axis]).argmax()))
    order = [columns, rows, thin[0]]
    array = array.transpose([2 - axis for axis in reversed(order)])
    spacing, direction = spacing[order], direction[:, order]
    for axis in range(2):
        along = int(np.abs(direction[:, axis]).argmax())
        # z points to the head, rows to the feet.
        if (direction[along, axis] < 0) != (along == 2):
            origin = origin + direction[:, axis] * spacing[axis] * (array.shape[2 - axis] - 1)
            array = np.flip(array, 2 - axis)
            direction = direction * np.where(np.arange(3) == axis, -1.0, 1.0)
    direction[:, 2] = np.cross(direction[:, 0], direction[:, 1])
    return np.ascontiguousarray(array), spacing, origin, direction + 0.0


# --- NIfTI
def _nifti_layout(head: bytes) -> str | None:
    """Byte order of a NIfTI-1 or -2 header with its version, such as "<1"; None for others."""
    for version, length, magic in (
        (1, 348, head[344:348] in (b"n+1\0", b"ni1\0")),
        (2, 540, head[4:8] in (b"n+2\0", b"ni2\0")),
    ):
        for order in "<>":
            if magic and head[:4] == struct.pack(order + "i", length):
                return f"{order}{version}"
    return None


def _check_nifti(path: Path, name: str) -> tuple[bool, bool, list[str]]:
    """Whether the pixels are in this file, whether a spacing is stated, and warnings.

    Length and checksum are verified here: the reader itself lets files pass that are cut off.
    """
    if not name.lower().endswith(_NIFTI_SUFFIXES):
        raise ImageError(f"{name}: is a NIfTI file by its content; rename it to .nii (or .nii.gz where it is packed).")
    with path.open("rb") as stream:
        packed = stream.read(2) == _GZIP
    if packed != name.lower().endswith(".gz"):
        right = ".nii.gz" if packed else ".nii"
        raise ImageError(f"{name}: the suffix does not say whether the file is packed; rename it to {right}.")
    head, length = _unpacked(path, packed, name)
    order, version = _nifti_layout(head) or ("<", "0")
    try:
        if version == "1":
            dims = struct.unpack_from(order + "8h", head, 40)
            kind, bits = struct.unpack_from(order + "2h", head, 70)
            pixdim = struct.unpack_from(order + "8f", head, 76)
            offset = struct.unpack_from(order + "f", head, 108)[0]
            forms = struct.unpack_from(order + "2h", head, 252)
        else:
            kind, bits = struct.unpack_from(order + "2h", head, 12)
            dims = struct.unpack_from(order + "8q", head, 16)
            pixdim = struct.unpack_from(order + "8d", head, 104)
            offset = struct.unpack_from(order + "q", head, 168)[0]
            forms = struct.unpack_from(order + "2i", head, 344)
    except struct.error:
        raise ImageError(f"{name}: the NIfTI header is cut off; copy or export it again.") from None
    rank = dims[0]
    if not 1 <= rank <= 7 or min(dims[1 : rank + 1]) < 1 or not np.isfinite(offset):
        raise ImageError(f"{name}: the NIfTI header is damaged; copy or export it again.")
    if any(n > 1 for n in dims[4 : rank + 1]):
        shape = " x ".join(str(n) for n in dims[1 : rank + 1])
        raise ImageError(f"{name}: has {rank} dimensions ({shape}); save one time point or channel as a 3D volume.")
    single = head[344:347] == b"n+1" or head[4:7] == b"n+2"
    voxels = int(np.prod(np.array(dims[1 : rank + 1], dtype=object)))
    if single and offset + voxels * bits // 8 > length:
        raise ImageError(f"{name}: the NIfTI file is cut off; copy or export it again.")
    if single and (bits, kind) in ((32, 16), (64, 64)):
        _refuse_not_finite(path, packed, int(offset), voxels, f"{order[0]}f{bits // 8}", name)
    stated = all(np.isfinite(pixdim[1:4])) and min(pixdim[1 : min(rank, 3) + 1]) > 0
    warnings = [] if stated else ["The NIfTI header states no voxel size."]
    if forms == (0, 0) and rank > 2:
        warnings.append("The NIfTI header does not say how the volume lies in the patient; check left and right.")
    return single, stated, warnings


def _unpacked(path: Path, packed: bool, name: str) -> tuple[bytes, int]:
    """The first kilobyte and the length of a file without its gzip packing, whose checksum is verified."""
    if not packed:
        with path.open("rb") as stream:
            return stream.read(1024), path.stat().st_size
    length, head = 0, b""
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(1 << 20):
                head = head or block[:1024]
                length += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ImageError(f"{name}: the packed file is damaged or cut off; copy or export it again.") from None
    return head, length


def _refuse_not_finite(path: Path, packed: bool, offset: int, count: int, dtype: str, name: str) -> None:
    """The reader puts 0 in the place of NaN and infinite values, so that they are looked for before."""
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        stream.seek(offset)
        while count > 0 and (block := stream.read(min(count * int(dtype[-1]), 1 << 24))):
            values = np.frombuffer(block[: len(block) // int(dtype[-1]) * int(dtype[-1])], dtype)
            if not np.isfinite(values).all():
                raise ImageError(
                    f"{name}: some pixels are not finite numbers (NaN or infinite); replace them and save it again."
                )
            count -= values.size


# --- NRRD and MetaImage
def _check_text_header(path: Path, name: str, kind: str) -> tuple[bool, bool, list[str]]:
    """Whether the pixels are in this file, whether a usable spacing is stated, and warnings."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if kind == "NRRD":
        head = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
        data_file = re.search(rb"^data ?file\s*:\s*(.*?)\s*$", head, re.MULTILINE | re.IGNORECASE)
        detached = data_file is not None
        spacing = re.search(rb"^(spacings|space directions)\s*:(.*)$", head, re.MULTILINE | re.IGNORECASE)
        stated = bool(spacing) and b"nan" not in spacing.group(2).lower()
        units = re.search(rb"^(?:space )?units\s*:(.*)$", head, re.MULTILINE | re.IGNORECASE)
        foreign = units and set(re.findall(rb'"([^"]*)"', units.group(1).lower())) - {b"mm", b"", b"none", b"???"}
        if foreign:
            if detached:
                _check_data_file(path, name, data_file.group(1))
            return not detached, False, ["The NRRD's unit of length is not mm; its spacing was set aside."]
    else:
        data_file = re.search(rb"^\s*ElementDataFile\s*=\s*(.*?)\s*$", head, re.MULTILINE)
        detached = not data_file or data_file.group(1).upper() != b"LOCAL"
        stated = bool(re.search(rb"^\s*Element(Spacing|Size)\s*=", head, re.MULTILINE))
    if detached:
        _check_data_file(path, name, data_file.group(1) if data_file else b"")
    return not detached, stated, [] if stated else [f"The {kind} header states no voxel size."]


def _check_data_file(path: Path, name: str, stated: bytes) -> None:
    """:class:`ImageError` unless the pixels are in one file beside the header: nothing else on the disk is opened."""
    try:
        data_file = stated.decode("utf-8")
    except UnicodeDecodeError:
        data_file = ""
    plain = data_file and data_file == Path(data_file).name and "\\" not in data_file and "%" not in data_file
    if not plain or data_file.upper().startswith("LIST") or data_file in (".", ".."):
        raise ImageError(
            f"{name}: its pixels must be in one file in the same folder; save it as one .nrrd or .mha file."
        )
    if not path.with_name(data_file).is_file():
        raise ImageError(f"{name}: the file with its pixels, {data_file}, is missing; put it into the same folder.")
