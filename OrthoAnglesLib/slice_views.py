"""Shows an image in the slice views, upright also where its rows do not run along the patient's axes."""

import numpy as np
import slicer
import vtk

_PARALLEL = 0.99


def showVolume(volumeNode) -> None:
    """Show a volume in all slice views; a radiograph stands there as its rows and columns do."""
    slicer.util.setSliceViewerLayers(background=volumeNode)
    data = volumeNode.GetImageData()
    if data is not None and data.GetDimensions()[2] == 1:
        for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            _turn(sliceNode, volumeNode)
    slicer.util.setSliceViewerLayers(fit=True)


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
