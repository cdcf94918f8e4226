"""What of one bone lies near another, asked again and again while both move.

A sample that was 20 mm away and has moved 3 mm since need not be looked up again, nor one that hardly moved: nearly all
look-ups of nearest points, which posing spends most of its time on, fall away. What comes out depends on the places
that were asked about, in their order, and on nothing else.
"""

import numpy as np

from orthoangles.simulation.pose.contacts import NOTHING_NEAR, Near, Placement, SurfaceSamples

_SETTLED = 0.15
"""A sample that moved less than this, in mm, keeps its nearest neighbour: samples lie about 1 mm apart."""
_AHEAD = 2.0
"""mm beyond the reach to which neighbours are looked for, so that a sample a little further off can be left alone."""
_GATHERED = 10.0
"""Samples further than this beyond the reach are not followed one by one, until the bones have moved as far."""


class Proximity:
    """Follows the sparse samples of ``first`` that are within ``reach`` mm of the surface samples of ``second``."""

    def __init__(self, first: SurfaceSamples, second: SurfaceSamples, reach: float) -> None:
        self._first, self._second, self._reach = first, second, reach
        self._corners_then: np.ndarray | None = None

    def near(self, at_first: Placement, at_second: Placement) -> Near:
        """Which samples are near in these places, measured to the surface sample that was the nearest within 0.15 mm.

        In the frame of the placements, in the order of the samples.
        """
        first, second = self._first, self._second
        (r1, t1), (r2, t2) = at_first, at_second
        turn, shift = r2.T @ r1, (t1 - t2) @ r2
        apart = turn @ first.centre + shift - second.centre
        if apart @ apart > (first.radius + second.radius + self._reach) ** 2:
            return NOTHING_NEAR
        self._gather(turn, shift)
        if not len(self._rows):
            return NOTHING_NEAR
        local = self._points @ turn.T + shift
        index = self._looked_up(local)
        close = np.flatnonzero(index >= 0)
        offset = local[close] - second.points[index[close]]
        distance = np.sqrt(np.einsum("ij,ij->i", offset, offset))
        within = distance < self._reach
        if not within.all():
            close, offset, distance = close[within], offset[within], distance[within]
        if not len(close):
            return NOTHING_NEAR
        normals = second.normals[index[close]]
        along = np.einsum("ij,ij->i", offset, normals)
        facing = np.einsum("ij,ij->i", self._normals[close] @ turn.T, normals) < -0.5
        # Beside an edge the tangent plane says little: there the distance to the sample counts.
        signed = np.where(facing, along, np.copysign(distance, along))
        return Near(self._points[close] @ r1.T + t1, signed, normals @ r2.T, facing)

    def _gather(self, turn: np.ndarray, shift: np.ndarray) -> None:
        """Choose whom to follow, where the last choice may no longer hold."""
        corners = self._first.corners @ turn.T + shift
        if self._corners_then is not None:
            # No point of a box moves further than the corner that moves furthest.
            moved = corners - self._corners_then
            if np.einsum("ij,ij->i", moved, moved).max() < _GATHERED**2:
                return
        self._corners_then = corners
        rows = self._first.sparse
        local = self._first.points[rows] @ turn.T + shift
        beyond = np.maximum(np.maximum(self._second.low - local, local - self._second.high), 0)
        bound = np.sqrt(np.einsum("ij,ij->i", beyond, beyond))
        kept = np.flatnonzero(bound < self._reach + _GATHERED)
        self._rows, self._then, self._bound = rows[kept], local[kept], bound[kept]
        self._points, self._normals = self._first.points[self._rows], self._first.normals[self._rows]
        self._index = np.full(len(kept), -1)
        self._known = np.zeros(len(kept), bool)

    def _looked_up(self, local: np.ndarray) -> np.ndarray:
        """Nearest sample (n,) of each followed point, -1 where there is none within reach."""
        since = local - self._then
        moved = np.sqrt(np.einsum("ij,ij->i", since, since))
        inside = self._bound - moved < self._reach
        again = np.flatnonzero(inside & ((moved > _SETTLED) | ~self._known))
        if len(again):
            distance, index = self._second.tree.query(local[again], distance_upper_bound=self._reach + _AHEAD)
            self._then[again] = local[again]
            self._bound[again] = np.minimum(distance, self._reach + _AHEAD)
            self._index[again] = np.where(np.isfinite(distance), index, -1)
            self._known[again] = True
        return np.where(inside, self._index, -1)
