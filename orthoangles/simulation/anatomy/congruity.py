"""Keeping joints congruent while the bones on both sides change shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orthoangles.simulation.anatomy.bones import BoneSet
from orthoangles.simulation.anatomy.joints import articulations

_CONTACT_DEPTH = 2.0
"""A joint surface is what lies no more than this further from the other bone than its nearest vertex does, mm."""
_FARTHEST = 8.0
"""Bones further apart than this share no joint, mm."""
_REACH = 7.0
"""Width in mm of the region beside a joint in which two bones' displacements pass into each other."""

_NEAREST = 8
_PASSES = 4
"""A vertex between two joints hears both; a few rounds bring all of them to agree."""


@dataclass(frozen=True, eq=False)
class Contact:
    """A joint: its two bones and the rows of their vertices that face each other."""

    first: str
    second: str
    first_rows: np.ndarray
    second_rows: np.ndarray


def contacts(bones: BoneSet) -> tuple[Contact, ...]:
    """The joints of a foot as they lie now; pairs that are too far apart are left out."""
    from scipy.spatial import cKDTree

    trees = {name: cKDTree(bone.vertices) for name, bone in bones.items()}
    found = []
    for first, second in articulations():
        if first in trees and second in trees:
            first_rows = _facing(bones, trees, first, second)
            second_rows = _facing(bones, trees, second, first)
            if len(first_rows) and len(second_rows):
                found.append(Contact(first, second, first_rows, second_rows))
    return tuple(found)


def _facing(bones: BoneSet, trees: Mapping, first: str, second: str) -> np.ndarray:
    points = bones[first].vertices
    other = bones[second].vertices
    near = np.flatnonzero(
        ((points >= other.min(axis=0) - _FARTHEST) & (points <= other.max(axis=0) + _FARTHEST)).all(axis=1)
    )
    if not len(near):
        return near
    distance, _ = trees[second].query(points[near], distance_upper_bound=_FARTHEST)
    return near[distance <= distance.min() + _CONTACT_DEPTH] if np.isfinite(distance).any() else near[:0]


def settled(moves: Mapping[str, np.ndarray], touching: Sequence[Contact]) -> dict[str, np.ndarray]:
    """The displacements (n, 3) of each bone plus one translation a bone, such that joint surfaces move together.

    Least squares over all joints: the mean displacement of one joint surface shall be that of the other. The bones as
    a whole do not drift.
    """
    names = list(moves)
    row_of = {name: row for row, name in enumerate(names)}
    matrix = np.zeros((len(touching) + 1, len(names)))
    target = np.zeros((len(touching) + 1, 3))
    for row, contact in enumerate(touching):
        matrix[row, row_of[contact.first]], matrix[row, row_of[contact.second]] = 1, -1
        target[row] = moves[contact.second][contact.second_rows].mean(axis=0)
        target[row] -= moves[contact.first][contact.first_rows].mean(axis=0)
    matrix[-1] = 1 / len(names)
    shifts, *_ = np.linalg.lstsq(matrix, target, rcond=1e-9)
    return {name: move + shifts[row_of[name]] for name, move in moves.items()}


class Congruity:
    """The joints of a foot, and how the displacements of the bones on both sides pass into each other.

    Making one costs about 0.2 s, using it a tenth of that. It holds for every foot with the same faces whose joints
    lie much alike: a foot that was blended or varied, not one that was posed anew.
    """

    def __init__(self, bones: BoneSet) -> None:
        self.contacts = contacts(bones)
        counts = [len(bone.vertices) for bone in bones.values()]
        self._starts = dict(zip(bones, np.cumsum([0, *counts[:-1]]), strict=True))
        self._operator = _correction(bones, self.contacts, self._starts, sum(counts))

    def joined(self, moves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Displacements (n, 3) of each bone, shifted and blended until they agree across the joints.

        Beside a joint the vertex and the nearest point of the other joint surface both take half of each displacement;
        over some millimetres away from it, the bone's own takes over.
        """
        moves = settled(moves, self.contacts)
        together = np.concatenate([moves[name] for name in self._starts])
        for _ in range(_PASSES):
            together = together + self._operator @ together
        return {name: together[start : start + len(moves[name])] for name, start in self._starts.items()}


def _correction(bones: BoneSet, touching: Sequence[Contact], starts: Mapping[str, int], count: int) -> Any:
    """Sparse matrix (count, count): what to add to the displacements of all vertices in one pass."""
    from scipy.sparse import coo_matrix, diags

    weight, values, rows_at, columns = np.zeros(count), [], [], []
    for contact in touching:
        for seam in _seams(bones, contact):
            rows = starts[seam.name] + seam.rows
            weight[rows] += seam.strength
            theirs = 0.5 * seam.strength[:, None] * seam.share
            values += [theirs.ravel(), -0.5 * seam.strength]
            columns += [(starts[seam.other] + seam.match).ravel(), rows]
            rows_at += [np.repeat(rows, seam.share.shape[1]), rows]
    entries = (np.concatenate(part or [np.zeros(0, np.int64)]) for part in (values, rows_at, columns))
    value, row, column = entries
    operator = coo_matrix((value, (row, column)), shape=(count, count)).tocsr()
    return (diags(1 / np.maximum(weight, 1)) @ operator).tocsr()


@dataclass(frozen=True, eq=False)
class _Seam:
    """One side of a joint: vertices ``rows`` of bone ``name`` and how strongly each belongs to the joint.

    For each, the nearest vertices ``match`` (n, k) of the ``other`` bone's joint surface, with their ``share`` (n, k).
    """

    name: str
    other: str
    rows: np.ndarray
    match: np.ndarray
    share: np.ndarray
    strength: np.ndarray


def _seams(bones: BoneSet, contact: Contact) -> list[_Seam]:
    from scipy.spatial import cKDTree

    seams = []
    for name, other, other_rows in (
        (contact.first, contact.second, contact.second_rows),
        (contact.second, contact.first, contact.first_rows),
    ):
        points, facing = bones[name].vertices, bones[other].vertices[other_rows]
        low, high = facing.min(axis=0) - 2 * _REACH, facing.max(axis=0) + 2 * _REACH
        rows = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        count = min(_NEAREST, len(facing))
        distance, match = (found.reshape(len(rows), count) for found in cKDTree(facing).query(points[rows], k=count))
        # Several nearest vertices together, so that the correction is smooth.
        share = np.exp((distance[:, :1] - distance) / 2.0)
        share /= share.sum(axis=1, keepdims=True)
        strength = np.exp(-0.5 * (np.maximum(distance[:, 0] - _CONTACT_DEPTH, 0) / _REACH) ** 2)
        seams.append(_Seam(name, other, rows, other_rows[match], share, strength))
    return seams
