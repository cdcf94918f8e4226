"""The frame of measurement in the 3D views: the ground under the foot, the foot's axis on it, and up."""

import numpy as np

from orthoangles.scene import look
from orthoangles.scene.drawn_nodes import CurveNode, SheetNode, TextNode
from orthoangles.scene.reader_frame import ground_patch

_MARGIN = 12.0  # mm of ground around the landmarks, at least
_STEP = 10.0  # mm in which the ground grows, so that few moves of a landmark change it
_UP, _SIDE = 45.0, 30.0  # mm, lengths of the arrows
_HEAD = 6.0  # mm, of an arrow's head
_GAP = 4.0  # mm between an arrow and its word


class FrameDrawing:
    """Ground, arrows and their names."""

    def __init__(self, parameter_node) -> None:
        self.ground = SheetNode(parameter_node, "frame.ground", "Ground of measurement", look.GROUND, opacity=0.28)
        self.arrows = CurveNode(
            parameter_node, "frame.arrows", "Axes of measurement", look.FORWARD, 3, listed=True, in_slices=False
        )
        self.words = TextNode(parameter_node, "frame.words", "Directions", look.FORWARD, scale=2.6)
        self._drawn = b""

    @property
    def nodes(self) -> tuple:
        """All of them."""
        return self.ground, self.arrows, self.words

    def update(self, layout: tuple[np.ndarray, np.ndarray] | None, points: np.ndarray, own_ground: bool) -> None:
        """Draw the frame of ``layout``, (origin (3,), axes (3, 3) lateral, forward, up) in LPS mm, or hide it.

        ``points`` (n, 3) are the landmarks, NaN where missing; ``own_ground``: the reader's own plane is shown instead.
        """
        placed = points[~np.isnan(points[:, 0])]
        visible = layout is not None and len(placed) > 0
        if visible:
            self._draw(*layout, placed)
        self.ground.show(visible and not own_ground)
        self.arrows.show(visible)
        self.words.show(visible)

    def _draw(self, origin: np.ndarray, axes: np.ndarray, placed: np.ndarray) -> None:
        low, high = ground_patch(origin, axes, placed)
        floor = low[2]
        low, high = np.floor((low - _MARGIN) / _STEP) * _STEP, np.ceil((high + _MARGIN) / _STEP) * _STEP
        low[2] = high[2] = floor
        wanted = b"".join(each.tobytes() for each in (origin, axes, low, high))
        if wanted == self._drawn and all(each.node is not None for each in self.nodes):
            return
        self._drawn = wanted
        (left, back, _), (right, front, _) = low, high
        corners = np.array([(left, back, floor), (right, back, floor), (right, front, floor), (left, front, floor)])
        self.ground.write(origin + corners @ axes)
        heel = np.array([0.0, 0.0, floor])
        tips = heel + np.array([(0.0, front, 0.0), (0.0, 0.0, _UP), (_SIDE, 0.0, 0.0)])
        arrows = [_arrow(heel, tips[0], 0), _arrow(heel, tips[1], 0), _arrow(heel, tips[2], 1)]
        self.arrows.write(*(origin + arrow @ axes for arrow in arrows))
        words = tips + _GAP * (tips - heel) / np.linalg.norm(tips - heel, axis=1, keepdims=True)
        self.words.write(origin + words @ axes, ["forward", "up", "lateral"], to_the_left=False)


def _arrow(start: np.ndarray, tip: np.ndarray, spread: int) -> np.ndarray:
    """(5, 3) polyline of an arrow whose head spreads along that axis."""
    back = tip - _HEAD * (tip - start) / np.linalg.norm(tip - start)
    aside = np.zeros(3)
    aside[spread] = _HEAD / 2.5
    return np.array([start, tip, back + aside, back - aside, tip])
