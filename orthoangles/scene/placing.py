"""The mouse and the slice views: placing a missing landmark with the next click, and showing where one lies."""

import numpy as np
import slicer

from orthoangles.scene.coordinates import flip


def start_placing(markups_node, index: int) -> None:
    """Let the next click in a view place the unset control point ``index``, as Slicer's own place button would."""
    scene = markups_node.GetScene()
    markups_node.SetControlPointPlacementStartIndex(index)
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    selection.SetReferenceActivePlaceNodeClassName(markups_node.GetClassName())
    selection.SetActivePlaceNodeID(markups_node.GetID())
    interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    interaction.SetPlaceModePersistence(False)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)


def stop_placing(scene) -> None:
    """Give the mouse back to the views."""
    interaction = scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    if interaction is not None:
        interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)


def centre_on(scene, lps: np.ndarray) -> None:
    """Centre every slice view on ``lps`` (3,) mm."""
    jump = slicer.vtkMRMLSliceNode
    jump.JumpAllSlices(scene, *flip(lps), jump.CenteredJumpSlice)


def jump_to(markups_node, index: int, lps: np.ndarray) -> None:
    """Centre every slice view on ``lps`` (3,) mm and highlight the control point."""
    centre_on(markups_node.GetScene(), lps)
    display = markups_node.GetDisplayNode()
    if display is not None:
        display.SetActiveControlPoint(index)
