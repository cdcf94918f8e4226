"""Whether corners look like a column of vertebrae at all: cheap checks for network, import and reader alike.

The limits leave real spines alone: among the 466 labelled spines of the AASCE training set they point at 30, whose
labels are out of order, doubled, crossed or collapsed (docs/COBB.md tells how each was checked). All checks are
relative to the vertebrae themselves, so they hold for any spacing and for a spine that leans or bends by more than 90
degrees.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from orthoangles.measuring_case import ColumnCase

# A vertebra left out doubles the distance between neighbours.
_FAR = 1.6
# Part of a vertebra's height by which neighbours may overlap before they are taken for the same one.
_OVERLAP = 0.2
_HEIGHT_RATIO = 3.0


def column_warnings(column: "ColumnCase") -> list[str]:
    """Sentences about what does not look right in a column of vertebrae."""
    ids = column.definition.vertebra_ids
    texts = []
    if absent := column.absent_text():
        texts.append(f"{absent}: clinical Cobb angles are taken over the other vertebrae")
    tl, tr, bl, br = _as_complex(column.corners)
    for k in _crossed(tl, tr, bl, br):
        left_out = "" if column.sound[k] else "; it is left out of clinical Cobb angles"
        texts.append(f"{ids[k]}: corners are crossed or left and right are exchanged{left_out}")
    rows = np.flatnonzero(_measurable(column))
    if len(rows) < len(ids):
        ids = [ids[k] for k in rows]
        tl, tr, bl, br = tl[rows], tr[rows], bl[rows], br[rows]
    return texts + _order_warnings(ids, rows, tl, tr, bl, br) if len(rows) > 1 else texts


def _as_complex(corners: np.ndarray) -> np.ndarray:
    """(4, n) corners as x + iy: half the operations, and "down" is a quarter turn from "right"."""
    return np.ascontiguousarray(corners.transpose(1, 0, 2)).view(np.complex128)[..., 0]


def _measurable(column: "ColumnCase") -> np.ndarray:
    """(n,) vertebrae whose midline tells right from left, crossed or not."""
    return column.squared_lengths[2] > 0


def _order_warnings(
    ids: Sequence[str], rows: np.ndarray, tl: np.ndarray, tr: np.ndarray, bl: np.ndarray, br: np.ndarray
) -> list[str]:
    top, bottom = (tl + tr) / 2, (bl + br) / 2
    right = (tr + br) - (tl + bl)
    down = 1j * right / np.abs(right)
    heights = np.abs(bottom - top)
    centres = (top + bottom) / 2
    steps = centres[1:] - centres[:-1]
    disordered = ((steps * down[:-1].conj()).real <= 0) | ((steps * down[1:].conj()).real <= 0)
    texts = [f"{ids[k + 1]} does not lie below {ids[k]}" for k in disordered.nonzero()[0]]
    gaps = ((top[1:] - bottom[:-1]) * (down[1:] + down[:-1]).conj()).real
    overlapping = (gaps < -_OVERLAP * (heights[1:] + heights[:-1])) & ~disordered
    texts += [f"{ids[k]} and {ids[k + 1]} overlap" for k in overlapping.nonzero()[0]]
    texts += [f"{ids[k]} and {ids[k + 1]} lie too far apart" for k in _far_apart(np.abs(steps), rows)]
    texts += [f"{ids[k]} is much {word} than its neighbours" for k, word in _odd_heights(heights)]
    return texts


def _crossed(tl: np.ndarray, tr: np.ndarray, bl: np.ndarray, br: np.ndarray) -> np.ndarray:
    """Vertebrae whose outline cuts itself or runs the wrong way round.

    An outline is simple where one of its diagonals parts it into two triangles that run the right way round.
    """
    a, b, c = tr - tl, br - tl, bl - tl
    upper, lower, left = (a.conj() * b).imag, (b.conj() * c).imag, (a.conj() * c).imag
    right = upper + lower - left
    simple = (np.minimum(upper, lower) > 0) | (np.minimum(left, right) > 0)
    return (~simple & np.isfinite(upper + lower)).nonzero()[0]


def _far_apart(lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Steps far longer than those above and below; a step across a missing vertebra is not judged."""
    lengths = np.where(np.diff(rows) == 1, lengths, np.nan)
    if len(lengths) < 3:
        return np.empty(0, dtype=int)
    neighbours = np.empty_like(lengths)
    neighbours[0], neighbours[-1] = lengths[1], lengths[-2]
    np.fmax(lengths[:-2], lengths[2:], out=neighbours[1:-1])
    return (lengths > _FAR * neighbours).nonzero()[0]


def _odd_heights(heights: np.ndarray) -> list[tuple[int, str]]:
    """Vertebrae more than three times as tall or as flat as both neighbours."""
    if len(heights) < 3:
        return []
    ratios = heights[1:] / np.maximum(heights[:-1], 1e-12)
    if ratios.max() < _HEIGHT_RATIO and ratios.min() > 1 / _HEIGHT_RATIO:
        return []
    found = []
    for k, height in enumerate(heights.tolist()):
        others = heights[[i for i in (k - 1, k + 1) if 0 <= i < len(heights)]]
        if height > _HEIGHT_RATIO * others.max():
            found.append((k, "taller"))
        elif height * _HEIGHT_RATIO < others.min():
            found.append((k, "flatter"))
    return found
