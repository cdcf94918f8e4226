"""The images of a folder, and by what they are known: never by their names, which may name patients."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = (
    ".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha",
    ".mhd",
)  # fmt: skip
_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_BLOCK = 1 << 16
_BLOCKS = 16


def image_paths(folder: Path) -> tuple[Path, ...]:
    """Image files and folders of DICOM series right below ``folder``, in the order of :func:`name_order`.

    Files with the suffix of an image, DICOM files whatever they are called, and folders whose first file is DICOM.
    What is hidden (its name starts with a dot) is left out.
    """
    return tuple(sorted((path for path in _visible(folder) if is_image(path)), key=lambda path: name_order(path.name)))


def name_order(name: str) -> list:
    """Sort key by which "case 9" comes before "case 10", and case is folded.

    >>> sorted(["case 10", "Case 9"], key=name_order)
    ['Case 9', 'case 10']
    """
    parts = re.split(r"(\d+)", name.casefold())
    return [int(part) if k % 2 else part for k, part in enumerate(parts)]


class ImageKeys:
    """Keys of images, remembered while their files stay as they are: a list of hundreds is read again in no time."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple, str]] = {}

    def __call__(self, path: Path) -> str:
        """The :func:`image_key` of ``path``. Raises OSError."""
        files = _files(path)
        stamp = tuple((file.name, status.st_size, status.st_mtime_ns) for file in files for status in (file.stat(),))
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, image_key(path))
        return known[1]


def image_key(path: Path) -> str:
    """SHA-256 (hex) that knows an image file, or a folder of them, wherever it lies and whatever it is called.

    Of a file above one megabyte its size, its ends and blocks evenly between them are read: two radiographs differ
    there by their headers or their noise, and hundreds of them on a network drive are known in seconds. Raises OSError.
    """
    files = _files(path)
    if not path.is_dir():
        return _file_key(path)
    return hashlib.sha256("".join(sorted(_file_key(file) for file in files)).encode()).hexdigest()


def _file_key(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        if size <= _BLOCK * _BLOCKS:
            digest.update(stream.read())
        else:
            for k in range(_BLOCKS):
                stream.seek(k * (size - _BLOCK) // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(each for each in _visible(path) if each.is_file()) if path.is_dir() else [path]


def _visible(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries if not entry.name.startswith("."))


def is_image(path: Path) -> bool:
    """Whether ``path`` looks like an image file, or like a folder with the DICOM files of one."""
    if path.is_dir():
        first = next(iter(_files(path)), None)
        return first is not None and (first.name.lower().endswith(_DICOM_SUFFIXES) or _starts_as_dicom(first))
    if path.name.lower() == "dicomdir":
        return False
    if path.name.lower().endswith(IMAGE_SUFFIXES):
        return True
    # DICOM files often have no suffix, or a number as the last part of their UID.
    return (not path.suffix or path.suffix[1:].isdigit()) and _starts_as_dicom(path)


def _starts_as_dicom(path: Path) -> bool:
    from orthoangles.images.dicom import is_dicom

    try:
        with path.open("rb") as stream:
            return is_dicom(stream.read(1024))
    except OSError:
        return False
