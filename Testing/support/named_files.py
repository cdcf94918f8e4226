"""Files with a patient's name in every place where their formats have room for text."""

import io
import json
from pathlib import Path

import numpy as np

NAME = "Quackenbush"
"""Stands in every text field, in file names and in names of folders."""

# What a reader needs to make sense of the pixels.
_NEEDED = frozenset({"Modality", "PhotometricInterpretation", "SpecificCharacterSet", "PresentationLUTShape"})
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"})


def write_dicom(path: Path, pixels: np.ndarray) -> int:
    """A radiograph (rows, columns) uint8; returns how many elements of its header hold the name."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = meta.ImplementationVersionName = NAME
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = "1.2.3", NAME.encode()
    preamble = NAME.encode().ljust(128, b"\0")
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    try:
        header = FileDataset(str(path), {}, file_meta=meta, preamble=preamble)
        count = _plant_texts(header)
        header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        header.Modality, header.Rows, header.Columns = "DX", *pixels.shape
        header.ImagerPixelSpacing = [0.5, 0.5]
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.PixelData = pixels.tobytes()
        pydicom.dcmwrite(path, header, enforce_file_format=True)
    finally:
        pydicom.config.settings.writing_validation_mode = before
    return count


def _plant_texts(header) -> int:
    """Every element of a text VR in the standard, private ones, sequences in sequences, and overlays."""
    from pydicom.datadict import DicomDictionary
    from pydicom.dataset import Dataset

    count = 0
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr in _TEXTS and tag >= 0x00080000 and keyword and keyword not in _NEEDED:
            header.add_new(tag, vr, NAME)
            count += 1
    block = header.private_block(0x0011, NAME, create=True)
    for offset, vr in enumerate(("LO", "LT", "PN", "UN", "OB", "UT"), start=1):
        block.add_new(offset, vr, NAME.encode() if vr in ("UN", "OB") else NAME)
    inner, outer = Dataset(), Dataset()
    inner.PatientName = inner.PatientComments = outer.RequestedProcedureDescription = NAME
    outer.RequestedProcedureCodeSequence = [inner]
    header.RequestAttributesSequence = [outer]
    header.add_new(0x60000022, "LO", NAME)
    header.add_new(0x60001500, "LO", NAME)
    header.add_new(0x60003000, "OW", NAME.encode() + b"\0")
    header.add_new(0xFFFCFFFC, "OB", NAME.encode() + b"\0")
    return count + 6 + 3 + 4


def write_png(path: Path, pixels: np.ndarray) -> None:
    """With plain, packed and international text, an EXIF block, and bytes after the end."""
    from PIL import Image, PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", NAME)
    texts.add_text("Comment", NAME, zip=True)
    texts.add_itxt("Title", NAME, tkey=NAME)
    Image.fromarray(pixels).save(path, "PNG", pnginfo=texts, exif=_exif())
    path.write_bytes(path.read_bytes() + NAME.encode())


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """With EXIF, a comment, a colour profile's name, and bytes after the end."""
    from PIL import Image

    Image.fromarray(pixels).save(
        path, quality=95, exif=_exif(), comment=NAME.encode(), icc_profile=NAME.encode() * 9, progressive=True
    )
    path.write_bytes(path.read_bytes() + NAME.encode())


def _exif() -> bytes:
    from PIL import Image

    exif = Image.Exif()
    for tag in (270, 271, 272, 305, 315, 33432):  # Description, make, model, software, artist, copyright.
        exif[tag] = NAME
    return exif.tobytes()


def write_tiff(path: Path, pixels: np.ndarray) -> None:
    """With each of the standard's text tags and two private ones."""
    import tifffile

    tags = (269, 271, 272, 285, 305, 315, 316, 33432, 65000, 65001)
    extra = [(tag, "s", 0, NAME, True) for tag in tags]
    tifffile.imwrite(path, pixels, description=NAME, extratags=extra, software=False, metadata=None)


def write_nrrd(path: Path, pixels: np.ndarray) -> None:
    """With a comment, ``content``, units, labels and key/value pairs."""
    slices, rows, columns = pixels.shape
    header = f"""NRRD0005
# {NAME}
content: {NAME}
type: uint8
dimension: 3
space: left-posterior-superior
sizes: {columns} {rows} {slices}
space directions: (0.5,0,0) (0,0.5,0) (0,0,2)
kinds: domain domain domain
labels: "{NAME}" "{NAME}" "{NAME}"
sample units: {NAME}
encoding: raw
space origin: (0,0,0)
PatientName:={NAME}
{NAME}:=1

"""
    path.write_bytes(header.encode() + pixels.tobytes())


def write_nifti(path: Path, pixels: np.ndarray) -> None:
    """With a description, names of intent, database and auxiliary file, and a header extension."""
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(pixels.T), np.diag([-0.5, -0.5, 2, 1]))
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = NAME.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", NAME.encode()))
    nibabel.save(image, path)


def write_metaimage(path: Path, pixels: np.ndarray) -> None:
    """With a comment, a name and a key of its own."""
    slices, rows, columns = pixels.shape
    header = f"""ObjectType = Image
Comment = {NAME}
Name = {NAME}
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
ElementSpacing = 0.5 0.5 2
DimSize = {columns} {rows} {slices}
PatientName = {NAME}
ElementType = MET_UCHAR
ElementDataFile = LOCAL
"""
    path.write_bytes(header.encode() + pixels.tobytes())


def coco_file(pictures: dict[str, tuple[int, int]], labels, points: np.ndarray) -> str:
    """A COCO file for pictures (file name: columns, rows), all with the same points (n, 2) px."""
    keypoints = np.column_stack([points, np.full(len(points), 2)]).ravel().tolist()
    images = [
        {"id": i, "file_name": f"{NAME}/{name}", "width": columns, "height": rows, "license": 1, "coco_url": NAME,
         "flickr_url": NAME, "date_captured": NAME, NAME: NAME}
        for i, (name, (columns, rows)) in enumerate(pictures.items())
    ]  # fmt: skip
    annotations = [
        {
            "id": i,
            "image_id": i,
            "category_id": NAME,
            "keypoints": keypoints,
            "caption": NAME,
            "attributes": {NAME: NAME},
        }
        for i in range(len(images))
    ]
    category = {"id": NAME, "name": NAME, "supercategory": NAME, "keypoints": list(labels), "skeleton": []}
    info = dict.fromkeys(("description", "url", "version", "contributor", "date_created"), NAME)
    licences = [{"id": 1, "name": NAME, "url": NAME}]
    return json.dumps(
        {"info": info, "licenses": licences, "images": images, "annotations": annotations, "categories": [category]}
    )


def labelme_file(picture: str, labels, points: np.ndarray) -> str:
    """A labelme file for a picture with points (n, 2), counted from the corner."""
    shapes = [
        {"label": label, "points": [place.tolist()], "group_id": NAME, "description": NAME, "shape_type": "point",
         "flags": {NAME: True}, NAME: NAME}
        for label, place in zip(labels, points, strict=True)
    ]  # fmt: skip
    shapes.append({"label": NAME, "points": [[0, 0], [1, 1]], "shape_type": "line", "flags": {}})
    return json.dumps(
        {"version": NAME, "flags": {NAME: True}, "shapes": shapes, "imagePath": f"C:\\{NAME}\\{picture}",
         "imageData": None, "otherData": NAME, "lineColor": NAME}
    )  # fmt: skip


def markups_file(labels, points: np.ndarray) -> str:
    """A Slicer markups file with points (n, 3) LPS mm."""
    controls = [
        {"id": NAME, "label": label, "description": NAME, "associatedNodeID": NAME, "position": place.tolist(),
         "positionStatus": "defined"}
        for label, place in zip(labels, points, strict=True)
    ]  # fmt: skip
    node = {"type": "Fiducial", "name": NAME, "coordinateSystem": "LPS", "labelFormat": NAME, "controlPoints": controls}
    return json.dumps({"@schema": f"https://{NAME}/markups-schema-v1.0.3.json#", "comment": NAME, "markups": [node]})


def traces(folder: Path) -> list[str]:
    """Where below ``folder`` the name stands: in a name, or in the bytes of a file, packed or not."""
    found = []
    for path in sorted(folder.rglob("*")):
        if holds_name(str(path.relative_to(folder)).encode()):
            found.append(f"name of {path.name}")
        if path.is_file() and any(map(holds_name, _contents(path))):
            found.append(f"content of {path.name}")
    return found


def holds_name(data: bytes) -> bool:
    """Whether the name is in ``data``, whatever its capitals, as ASCII or UTF-16."""
    lowered = data.lower()
    name = NAME.lower()
    return any(name.encode(code) in lowered for code in ("ascii", "utf-16-le", "utf-16-be"))


def _contents(path: Path):
    """The bytes of a file, and those of what is packed in it."""
    import gzip
    import zlib

    data = path.read_bytes()
    yield data
    if data.startswith(b"\x89PNG"):
        at, packed = 8, b""
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            kind, chunk = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
            packed += chunk if kind == b"IDAT" else b""
            assert kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"pHYs", b"sCAL"), kind
            at += 12 + length
        yield zlib.decompress(packed)
    elif data.startswith(b"NRRD"):
        header, _, packed = data.partition(b"\n\n")
        assert b":=" not in header
        if b"encoding: gzip" in header:
            yield gzip.GzipFile(fileobj=io.BytesIO(packed)).read()
