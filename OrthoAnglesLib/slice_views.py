"""Shows an image in the views, upright also where its rows do not run along the patient's axes."""

import numpy as np
import slicer
import vtk

_PARALLEL = 0.99


def showVolume(volumeNode) -> None:
    """Show a volume in all slice views: a radiograph as its rows and columns stand, a scan with a 3D view beside."""
    slicer.util.setSliceViewerLayers(background=volumeNode)
    data = volumeNode.GetImageData()
    if data is not None and data.GetDimensions()[2] == 1:
        for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            _turn(sliceNode, volumeNode)
    elif data is not None:
        _haveSpaceView()
    slicer.util.setSliceViewerLayers(fit=True)


def zoomTo(millimetres: float) -> None:
    """Enlarge all slice views that show more than this; a view that shows less stays as the reader has it."""
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        width, height, depth = sliceNode.GetFieldOfView()
        factor = millimetres / max(min(width, height), 1e-6)
        if factor < 1:
            sliceNode.SetFieldOfView(factor * width, factor * height, depth)


def resetSpaceViews() -> None:
    """Let the 3D views show all there is."""
    if slicer.app.layoutManager() is not None:
        slicer.util.resetThreeDViews()


def _haveSpaceView() -> None:
    """Lay the views out as three slices and a 3D view, where no 3D view is open."""
    layout = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    views = slicer.util.getNodesByClass("vtkMRMLViewNode")
    if layout is not None and not any(view.IsMappedInLayout() for view in views):
        layout.SetViewArrangement(layout.SlicerLayoutFourUpView)


def _turn(sliceNode, volumeNode) -> None:
    """Turn a view that looks at the radiograph from the front; those that see its edge stay as they are."""
    directions = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASDirectionMatrix(directions)
    wanted = slicer.util.arrayFromVTKMatrix(directions)[:3, :3] * (1.0, -1.0, 1.0)  # a view's y points up
    present = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
    if abs(wanted[:, 2] @ present[:, 2]) < _PARALLEL or np.allclose(wanted, present):
        return
    for row in range(3):
        for column in range(3):
            sliceNode.GetSliceToRAS().SetElement(row, column, wanted[row, column])
    sliceNode.UpdateMatrices()
