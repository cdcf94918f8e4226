"""Images as volume nodes and back. What MRML has no field for (side, view, age, origin of the spacing) is kept in
attributes of the node, so a saved scene measures as the file did.
"""

import numpy as np
import vtk
from vtk.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy

from orthoangles.errors import ImageError
from orthoangles.images import Image, ImageGeometry, display_range
from orthoangles.protocols import Protocol

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
# Bone is the brightest part of a radiograph: its edges must not drown in white.
_HEADROOM = 0.15
_TEXTS = ("spacing_source", "laterality", "view", "modality")
_NUMBERS = ("patient_age", "magnification")
# What Slicer itself knows of a volume that it loaded from a file is no proof of a spacing: a PNG comes in with 1 mm.
_READ_BY_US = "OrthoAngles.image"


def add_volume(scene, image: Image):
    """A new ``vtkMRMLScalarVolumeNode`` with the image's pixels, geometry, window and level."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(_stem(image.name)))
    node.SetAndObserveImageData(_image_data(image.array))
    node.SetSpacing(*image.spacing)
    node.SetOrigin(*(_LPS_TO_RAS @ image.origin))
    node.SetIJKToRASDirections(*(_LPS_TO_RAS @ image.direction).ravel())
    node.SetAttribute(_READ_BY_US, image.name)
    for name in (*_TEXTS, *_NUMBERS):
        value = getattr(image, name)
        if value is not None:
            node.SetAttribute(f"OrthoAngles.{name}", str(value))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.AutoWindowLevelOff()
    low, high = display_range(image)
    display.SetWindowLevelMinMax(low, high + _HEADROOM * (high - low))
    display.SetInterpolate(True)
    return node


def image_from_volume(node, protocol: Protocol | None = None) -> Image:
    """The node's image; pixels are copied. A protocol checks that it is flat (2D) or a volume (3D).

    Raises:
        ImageError: no pixels, colour, a transform that is not hardened, or the wrong dimension; names the node.
    """
    geometry = volume_geometry(node, protocol)
    array = np.array(vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()))
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    return Image(
        array=array.reshape(geometry.size[::-1]),
        spacing=geometry.spacing,
        origin=geometry.origin,
        direction=geometry.direction,
        name=node.GetAttribute(_READ_BY_US) or node.GetName(),
        **volume_facts(node),
    )


def volume_facts(node) -> dict:
    """Side, view, modality, age, magnification and origin of the spacing, as far as known; keys are Image's."""
    facts: dict = {name: node.GetAttribute(f"OrthoAngles.{name}") for name in _TEXTS}
    for name in _NUMBERS:
        text = node.GetAttribute(f"OrthoAngles.{name}")
        facts[name] = None if text is None else float(text)
    if node.GetAttribute(_READ_BY_US) is None:
        facts["spacing_source"] = _spacing_source(node)
    return facts


def volume_geometry(node, protocol: Protocol | None = None) -> ImageGeometry:
    """Size and place of the node's image in LPS; :class:`ImageError` as for :func:`image_from_volume`."""
    name = node.GetName()
    data = node.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None:
        raise ImageError(f"{name}: this volume has no pixels; load its image again.")
    if data.GetNumberOfScalarComponents() != 1:
        raise ImageError(f"{name}: this volume is in colour; convert it to a grey scalar volume.")
    if node.GetParentTransformNode() is not None:
        raise ImageError(f"{name}: this volume is under a transform; harden the transform first.")
    size = data.GetDimensions()
    if protocol is not None and (size[2] == 1) != (protocol.dimension == 2):
        kind = "one flat radiograph" if protocol.dimension == 2 else "a volume of several slices"
        raise ImageError(f"{name}: it has {size[2]} slices; protocol '{protocol.id}' measures {kind}.")
    directions = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(directions)
    axes = np.array([[directions.GetElement(row, column) for column in range(3)] for row in range(3)])
    known = volume_facts(node)["spacing_source"] is not None
    return ImageGeometry(size, node.GetSpacing(), _LPS_TO_RAS @ node.GetOrigin(), _LPS_TO_RAS @ axes, known)


def _spacing_source(node) -> str | None:
    """Slicer loaded it: a spacing of exactly 1 in all directions is its default for files without one."""
    return None if node.GetSpacing() == (1.0, 1.0, 1.0) else "Slicer volume"


def _image_data(array: np.ndarray):
    """``vtkImageData`` that owns a copy of (slices, rows, columns) pixels."""
    pixels = np.ascontiguousarray(array)
    if pixels.dtype.itemsize == 8:  # 64-bit integers have no NRRD type that every reader knows
        pixels = pixels.astype(np.int32)
    data = vtk.vtkImageData()
    data.SetDimensions(*pixels.shape[::-1])
    scalars = numpy_to_vtk(pixels.ravel(), deep=True, array_type=get_vtk_array_type(pixels.dtype))
    scalars.SetName("ImageScalars")
    data.GetPointData().SetScalars(scalars)
    return data


def _stem(name: str) -> str:
    return name.split(".")[0] or "image"
