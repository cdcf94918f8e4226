"""Grey pixels of a DICOM file: decoded, rescaled and with bright bone, whatever they are stored as."""

import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orthoangles.errors import ImageError
from orthoangles.images.dicom_header import numbers_of, text_of, uid_of
from orthoangles.images.itk import luminance, narrow_integers, plain_type, read_with_itk
from orthoangles.images.quiet import quiet_pydicom

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

_PIXEL_ATTRIBUTES = (
    *("Rows", "Columns", "SamplesPerPixel", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
)
# Far above any radiograph or slice; a damaged header must not ask for all memory.
_MOST_PIXELS = 2**28


def grey_pixels(dataset: "Dataset", name: str) -> tuple[np.ndarray, list[str]]:
    """Grey values (rows, columns), rescaled, MONOCHROME1 inverted, and warnings. Raises :class:`ImageError`."""
    from pydicom.uid import AllTransferSyntaxes, RLELossless

    rows, columns = (numbers_of(dataset, key, 1) or (0.0,) for key in ("Rows", "Columns"))
    if not 0 < rows[0] * columns[0] <= _MOST_PIXELS:
        raise ImageError(f"{name}: its header announces {rows[0]:g} x {columns[0]:g} pixels; export it again.")
    syntax = _transfer_syntax(dataset)
    if syntax not in AllTransferSyntaxes:
        raise ImageError(f"{name}: its transfer syntax is unknown; save it uncompressed (Explicit VR Little Endian).")
    if syntax.is_compressed and not syntax.is_deflated and syntax != RLELossless:
        return _grey(dataset, _decoded_by_gdcm(dataset, syntax, name), name)
    with quiet_pydicom():
        try:
            stored = dataset.pixel_array
        except Exception:  # Missing or contradictory attributes, short pixel data: each its own exception.
            stored = None
    if stored is None:
        raise ImageError(f"{name}: its pixels do not fit its header: damaged or cut off; copy or export it again.")
    return _grey(dataset, stored, name)


def _transfer_syntax(dataset: "Dataset") -> "UID":
    """The stated transfer syntax; as the file was read where it states none, which old files do not."""
    from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    stated = uid_of(dataset.file_meta, "TransferSyntaxUID")
    if stated is None:
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        stated = ImplicitVRLittleEndian if implicit else plain
        with quiet_pydicom():
            dataset.file_meta.TransferSyntaxUID = stated
    # The class itself warns of a malformed value, and quotes it.
    with quiet_pydicom():
        return UID(stated)


def _grey(dataset: "Dataset", stored: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    photometric = text_of(dataset, "PhotometricInterpretation")
    warnings = _warn_raw(dataset)
    if photometric == "PALETTE COLOR":
        stored = _with_palette(dataset, stored, name)
    if stored.ndim == 3 and stored.shape[-1] == 3:
        grey, more = luminance(plain_type(stored))
        return grey, warnings + more
    if stored.ndim != 2 or photometric not in (None, "MONOCHROME1", "MONOCHROME2"):
        raise ImageError(f"{name}: its pixels are not one grey picture; export it as MONOCHROME2.")
    if stored.dtype.kind in "iu":
        stored = _used_bits(dataset, stored)
        if photometric == "MONOCHROME1":
            # The stored range upside down: its lowest and its highest value change places.
            top = 2 ** _bits_stored(dataset, stored) - 1 if stored.dtype.kind == "u" else -1
            stored = narrow_integers(top - stored.astype(np.int64))
    elif photometric == "MONOCHROME1":
        stored = stored.min() + stored.max() - stored
    return _rescaled(dataset, stored, name), warnings


def _used_bits(dataset: "Dataset", stored: np.ndarray) -> np.ndarray:
    """Pixels without what old overlays leave in the unused high bits."""
    unused = 8 * stored.dtype.itemsize - _bits_stored(dataset, stored)
    return (stored << unused) >> unused if unused else stored


def _bits_stored(dataset: "Dataset", stored: np.ndarray) -> int:
    allocated = 8 * stored.dtype.itemsize
    bits = int((numbers_of(dataset, "BitsStored", 1) or (allocated,))[0])
    return bits if 1 <= bits <= allocated else allocated


def _rescaled(dataset: "Dataset", stored: np.ndarray, name: str) -> np.ndarray:
    """Modality LUT or RescaleSlope and RescaleIntercept; no VOI window, which is a matter of display."""
    if "ModalityLUTSequence" in dataset and stored.dtype.kind in "iu":
        from pydicom.pixels import apply_modality_lut

        with quiet_pydicom():
            try:
                return narrow_integers(apply_modality_lut(stored, dataset))
            except Exception:
                stored = None
        if stored is None:
            raise ImageError(f"{name}: its modality lookup table is damaged; export it again.")
    slope = (numbers_of(dataset, "RescaleSlope", 1) or (1.0,))[0] or 1.0
    intercept = (numbers_of(dataset, "RescaleIntercept", 1) or (0.0,))[0]
    if (slope, intercept) == (1.0, 0.0):
        return plain_type(stored)
    whole = slope.is_integer() and intercept.is_integer() and abs(slope) + abs(intercept) < 2**24
    if stored.dtype.kind in "iu" and whole:
        return narrow_integers(stored.astype(np.int64) * int(slope) + int(intercept))
    with np.errstate(over="ignore", invalid="ignore"):
        return (stored * slope + intercept).astype(np.float32)


def _with_palette(dataset: "Dataset", stored: np.ndarray, name: str) -> np.ndarray:
    from pydicom.pixels import apply_color_lut

    with quiet_pydicom():
        try:
            return apply_color_lut(stored, dataset)[..., :3]
        except Exception:
            pass
    raise ImageError(f"{name}: its colour palette is damaged; export it as MONOCHROME2.")


def _warn_raw(dataset: "Dataset") -> list[str]:
    if text_of(dataset, "PresentationIntentType") != "FOR PROCESSING":
        return []
    return ["The file is raw detector data (FOR PROCESSING); the network was trained on images for presentation."]


def _decoded_by_gdcm(dataset: "Dataset", syntax: "UID", name: str) -> np.ndarray:
    """Stored values of a compressed frame, by the GDCM inside ITK, which decodes what pydicom needs plug-ins for.

    GDCM gets a copy with nothing but the pixels: a damaged length elsewhere in the header makes it ask for gigabytes,
    and rescaling and inversion are done here for all files alike.
    """
    import SimpleITK

    stream = _stream(dataset, syntax.name, name)
    with tempfile.TemporaryDirectory(prefix="orthoangles-") as folder:
        copy = Path(folder, "frame.dcm")
        try:
            with quiet_pydicom():
                _bare_copy(dataset, syntax, stream).save_as(copy, enforce_file_format=True)
            image = read_with_itk(copy, "GDCMImageIO", name)
        except (ImageError, AttributeError, TypeError, ValueError, struct.error):
            image = None
    if image is None:
        raise ImageError(
            f"{name}: its pixels are compressed ({syntax.name}) and damaged or of a kind that cannot be decoded here; "
            "save it uncompressed (Explicit VR Little Endian), for instance with dcmdjpeg or gdcmconv --raw."
        )
    array = SimpleITK.GetArrayFromImage(image)
    return array[0] if image.GetDimension() == 3 and array.shape[0] == 1 else array


def _stream(dataset: "Dataset", syntax: str, name: str) -> bytes:
    """The compressed frame. Without its end marker it is refused, for decoders fill the rest with grey."""
    from pydicom.encaps import generate_frames

    with quiet_pydicom():
        try:
            stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
        except Exception:  # Broken encapsulation: several exceptions of pydicom's.
            stream = b""
    if not stream or ("JP" in syntax.upper() and b"\xff\xd9" not in stream[-16:]):
        raise ImageError(f"{name}: its {syntax} pixels are damaged or cut off; copy or export it again.")
    return stream


def _bare_copy(dataset: "Dataset", syntax: "UID", stream: bytes) -> "Dataset":
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    copy = Dataset()
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = syntax
    copy.SOPClassUID, copy.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    for keyword in _PIXEL_ATTRIBUTES:
        if (values := numbers_of(dataset, keyword, 1)) is not None:
            setattr(copy, keyword, int(values[0]))
    photometric = text_of(dataset, "PhotometricInterpretation") or "MONOCHROME2"
    copy.PhotometricInterpretation = "MONOCHROME2" if photometric in ("MONOCHROME1", "PALETTE COLOR") else photometric
    copy.PixelData = encapsulate([stream])
    copy["PixelData"].VR = "OB"
    copy["PixelData"].is_undefined_length = True
    return copy
