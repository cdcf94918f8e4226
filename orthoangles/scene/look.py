"""Colours and sizes on the image: small, thin and legible on a dark radiograph, also for the colour-blind.

Sizes are shares of the view, so they stay the same on the screen however far the reader zooms in.
"""

import slicer
import vtk

from orthoangles.protocols import Protocol

PROPOSED = (0.35, 0.90, 1.00)  # a landmark as the network placed it
SEEN = (0.55, 1.00, 0.35)  # one that a reader moved or confirmed
ACTIVE = (1.00, 1.00, 1.00)  # the one under the mouse or under review
LEVELS = (0.80, 0.86, 0.90)
MIDLINE = (0.75, 0.80, 0.85)
# One colour per drawn measurement, in the protocol's order; Okabe and Ito's palette, lightened for a dark ground.
AXES = (0.93, 0.93, 0.88)  # axes of bones in a volume
GROUND = (0.45, 0.62, 0.75)
FORWARD = (1.00, 0.80, 0.30)
OWN = (0.95, 0.55, 0.20)  # ground or axis that the reader lays
ANGLES = ((0.95, 0.60, 0.85), (1.00, 0.68, 0.15), (1.00, 0.93, 0.35), (0.45, 0.75, 1.00), (0.30, 0.90, 0.70))

_TINY = 0.01  # a glyph too small to see: its label stays


def colors_of(protocol: Protocol) -> list[tuple[float, float, float]]:
    """One colour per measurement. Those that are drawn by default have the first ones, so that these differ."""
    drawn = [definition.id for definition in protocol.measurements if definition.drawn]
    others = [definition.id for definition in protocol.measurements if not definition.drawn]
    order = [*drawn, *others]
    return [ANGLES[order.index(definition.id) % len(ANGLES)] for definition in protocol.measurements]


def style_landmarks(display) -> None:
    """Small open marks without their 68 labels: the levels are named once beside the bones."""
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetGlyphTypeFromString("Circle2D")
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(1.1)
    display.SetSelectedColor(*PROPOSED)
    display.SetColor(*SEEN)
    display.SetActiveColor(*ACTIVE)
    _keep_on_the_slice(display)


def style_landmarks_in_space(display) -> None:
    """Balls with their ids, seen through bone: the names of 22 points, each on the slices it lies in."""
    style_landmarks(display)
    display.SetGlyphTypeFromString("Sphere3D")
    display.SetGlyphScale(1.3)
    display.SetPointLabelsVisibility(True)
    display.SetTextScale(2.4)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(0.6)
    _style_words(display.GetTextProperty())


def style_text_in_space(display) -> None:
    """Text that is read on every slice, since an angle's lines are drawn on every slice."""
    display.SetSliceProjection(True)
    display.SetSliceProjectionUseFiducialColor(True)
    display.SetSliceProjectionOpacity(1.0)
    display.SetOccludedVisibility(True)
    display.SetOccludedOpacity(1.0)


def style_own_ground(display) -> None:
    """A plane to turn by its handles."""
    display.SetSelectedColor(*OWN)
    display.SetFillOpacity(0.3)
    display.SetOutlineOpacity(0.8)
    display.SetHandlesInteractive(True)
    display.SetRotationHandleVisibility(True)
    display.SetTranslationHandleVisibility(True)
    display.SetScaleHandleVisibility(False)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)


def style_own_axis(display) -> None:
    """A line to drag by its ends."""
    display.SetSelectedColor(*OWN)
    display.SetGlyphScale(1.6)
    display.SetTextScale(2.4)
    display.SetPropertiesLabelVisibility(False)
    display.SetOccludedVisibility(True)


def style_text(display, color: tuple[float, float, float], scale: float) -> None:
    """Text without a glyph."""
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetUseGlyphScale(True)
    display.SetGlyphScale(_TINY)
    display.SetTextScale(scale)
    display.SetSelectedColor(*color)
    _style_words(display.GetTextProperty())
    _keep_on_the_slice(display)


def run_text(node, to_the_left: bool) -> None:
    """Let the labels of a markups node end at their points instead of beginning there, or the other way round."""
    text = node.GetDisplayNode().GetTextProperty()
    justification = vtk.VTK_TEXT_RIGHT if to_the_left else vtk.VTK_TEXT_LEFT
    if text.GetJustification() != justification:
        text.SetJustification(justification)


def style_curve(display, color: tuple[float, float, float], thickness: int, opacity: float = 1.0) -> None:
    """A model of lines, drawn on the slice."""
    display.SetVisibility2D(True)
    display.SetSliceDisplayModeToProjection()
    display.SetColor(*color)
    display.SetOpacity(opacity)
    display.SetSliceIntersectionOpacity(opacity)
    display.SetSliceIntersectionThickness(thickness)
    display.SetLineWidth(thickness)
    display.SetLighting(False)


def style_in_space(display) -> None:
    """A curve for the 3D views: on slices it would only be a point."""
    display.SetVisibility2D(False)


def style_surface(display, color: tuple[float, float, float], opacity: float) -> None:
    """A sheet of glass with its rim; on slices the line in which it cuts them."""
    display.SetVisibility2D(True)
    display.SetSliceDisplayModeToIntersection()
    display.SetSliceIntersectionThickness(1)
    display.SetSliceIntersectionOpacity(0.7)
    display.SetColor(*color)
    display.SetOpacity(opacity)
    display.SetLighting(False)
    display.SetBackfaceCulling(False)
    display.SetEdgeVisibility(True)
    display.SetEdgeColor(*color)


def _style_words(text) -> None:
    text.SetVerticalJustificationToCentered()
    text.SetShadow(True)


def _keep_on_the_slice(display) -> None:
    """Hide markups on the slices of a volume in which they do not lie."""
    display.SetSliceProjection(False)
    display.SetSnapMode(slicer.vtkMRMLMarkupsDisplayNode.SnapModeUnconstrained)
