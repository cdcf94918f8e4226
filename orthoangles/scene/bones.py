"""Bones in the 3D views: the volume itself, rendered by its Hounsfield units, thin enough to see the axes within."""

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from orthoangles.scene.hosting import running_in_slicer, scene_host

_ROLE = "OrthoAngles.bones"
_GPU, _CPU = "vtkMRMLGPURayCastVolumeRenderingDisplayNode", "vtkMRMLCPURayCastVolumeRenderingDisplayNode"
# Hounsfield units: soft tissue ends below 200; cancellous bone, cortex.
_OPACITY = ((-3000, 0.0), (160, 0.0), (300, 0.09), (700, 0.16), (1400, 0.28), (3500, 0.4))
_COLORS = (
    (-3000, 0.55, 0.36, 0.24),
    (160, 0.74, 0.56, 0.42),
    (400, 0.93, 0.84, 0.70),
    (1400, 1.0, 0.98, 0.93),
    (3500, 1.0, 1.0, 1.0),
)
_AIR = -1000.0
_EVERY = 5  # voxel in each direction, to find out what the air measures


def show_bones(volume_node, visible: bool = True, *, by_processor: bool | None = None) -> None:
    """Render the bones of a CT volume in the 3D views, or stop; the rendering is kept with the scene.

    ``by_processor``: without a graphics card; not given, in Slicer as its user chose, and head-less so.
    """
    display = _display(volume_node)
    if display is None and visible:
        display = _made(volume_node, _method() if by_processor is None else (_CPU if by_processor else _GPU))
    if display is not None:
        display.SetVisibility(visible)


def bones_shown(volume_node) -> bool:
    """Whether the 3D views show the bones of the volume."""
    display = _display(volume_node)
    return display is not None and bool(display.GetVisibility())


def forget_bones(volume_node) -> None:
    """Delete the rendering, with what belongs to it alone."""
    display = _display(volume_node)
    if display is not None:
        scene, own = display.GetScene(), display.GetVolumePropertyNode()
        scene.RemoveNode(display)
        if own is not None:
            scene.RemoveNode(own)


def _display(volume_node):
    count = volume_node.GetNumberOfDisplayNodes()
    displays = (volume_node.GetNthDisplayNode(k) for k in range(count))
    return next((each for each in displays if each is not None and each.GetAttribute(_ROLE)), None)


def _made(volume_node, method: str):
    scene = volume_node.GetScene()
    own = scene.AddNewNodeByClass("vtkMRMLVolumePropertyNode", f"{volume_node.GetName()} bones")
    own.SetHideFromEditors(True)
    _set_bone_property(own.GetVolumeProperty(), _air_of(volume_node) - _AIR)
    display = scene.CreateNodeByClass(method)
    display.UnRegister(None)
    display.SetName(f"{volume_node.GetName()} bones")
    display.SetAttribute(_ROLE, "1")
    display.SetFollowVolumeDisplayNode(False)
    display.SetVisibility(False)
    scene.AddNode(display)
    display.SetAndObserveVolumePropertyNodeID(own.GetID())
    volume_node.AddAndObserveDisplayNodeID(display.GetID())
    return display


def _method() -> str:
    """What the user chose in Slicer's settings; without a graphics card the processor is ten times faster."""
    if not running_in_slicer():
        return _CPU
    logic = scene_host().logic("VolumeRendering")
    chosen = logic.GetDefaultRenderingMethod() if logic is not None else None
    return chosen if chosen in (_GPU, _CPU) else _GPU


def _set_bone_property(volume_property, shift: float) -> None:
    """Opacity and colour over the stored values, which are Hounsfield units plus ``shift``."""
    opacity, colors = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction()
    for value, share in _OPACITY:
        opacity.AddPoint(value + shift, share)
    for value, *color in _COLORS:
        colors.AddRGBPoint(value + shift, *color)
    volume_property.SetScalarOpacity(opacity)
    volume_property.SetColor(colors)
    volume_property.SetInterpolationTypeToLinear()
    volume_property.SetShade(True)
    volume_property.SetAmbient(0.4)
    volume_property.SetDiffuse(0.75)
    volume_property.SetSpecular(0.2)


def _air_of(volume_node) -> float:
    """What air measures: -1000 in a calibrated scan, about 0 where a scanner stored unsigned numbers."""
    data = volume_node.GetImageData()
    columns, rows, slices = data.GetDimensions()
    values = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(slices, rows, columns)
    low = float(np.percentile(values[::_EVERY, ::_EVERY, ::_EVERY], 2))
    return low if low > _AIR / 2 else _AIR
