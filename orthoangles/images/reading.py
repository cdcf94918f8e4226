"""One door for every file: what is it, who reads it, and is the result fit to be measured."""

from pathlib import Path

from orthoangles.errors import ImageError
from orthoangles.images.image import Image

# Less than this holds no spine and no foot; networks and displays fail on slivers in their own, unclear ways.
_SMALLEST_SIDE = 16

_DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_FORMATS = "DICOM, PNG, JPEG, TIFF, NRRD, NIfTI or MetaImage"


def read_image(path: str | Path) -> Image:
    """Read an image file, or a folder with the DICOM files of one image or one CT series.

    The content decides what the file is, not its suffix. Bright is dense bone: MONOCHROME1 comes inverted; grey values
    are otherwise the stored ones (rescaled where DICOM says how), without any display window. Geometry is in LPS mm.

    * Radiographs (DICOM), PNG, JPEG and TIFF: origin 0, identity direction, so that an LPS point is (column, row, 0)
      times the spacing. ``spacing`` is 1 and ``spacing_source`` None where the file states none; the resolution (dpi)
      of a picture is not taken as such, for it is the screen's or the printer's.
    * CT series, NRRD, NIfTI and MetaImage: the geometry of the file. Flat ones (one slice) count as radiographs.

    What was assumed is in ``Image.warnings``. Raises :class:`ImageError`, which names the file without its folder, the
    reason and what to do, for everything else: missing, empty, truncated, 4D, constant or tiny images, objects that
    are no images. Patient data are in no error, and readers' own messages to log and stderr are silenced.

    >>> image = read_image("Resources/SampleData/spine.png")  # doctest: +SKIP
    """
    path = Path(path)
    name = path.name or path.resolve().name
    try:
        if path.is_dir():
            from orthoangles.images.series import read_folder

            image = read_folder(path, name)
        else:
            image = _read_file(path, name)
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"{name}: cannot be opened ({error.strerror or 'read error'}); check the file.") from None
    except MemoryError:
        raise ImageError(f"{name}: does not fit into this computer's memory; crop it.") from None
    return _usable(image)


def _read_file(path: Path, name: str) -> Image:
    from orthoangles.images import dicom, pictures, volumes

    if not path.exists():
        raise ImageError(f"{name}: there is no such file; check the path.")
    if not path.is_file():
        raise ImageError(f"{name}: is neither a file nor a folder; give an image.")
    with path.open("rb") as stream:
        head = stream.read(1024)
    if not head:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy or export it again.")
    if dicom.is_dicom(head) or path.suffix.lower() in _DICOM_SUFFIXES:
        return dicom.read_file(path, name)
    for reader in (pictures, volumes):
        if kind := reader.kind_of(head):
            return reader.read(path, name, kind)
    raise ImageError(f"{name}: is not an image that can be read here; give {_FORMATS}.")


def _usable(image: Image) -> Image:
    columns, rows, _ = image.size
    if min(columns, rows) < _SMALLEST_SIDE:
        raise ImageError(
            f"{image.name}: {columns} x {rows} pixels are too few to measure on; "
            f"give the full image (at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE})."
        )
    if image.array.min() == image.array.max():
        raise ImageError(f"{image.name}: all pixels have the same value, so nothing is to be seen; export it again.")
    return image
