"""Labelled radiographs brought into one frame and kept in memory: what the training loop and evaluation read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orthoangles.networks.framing import GreyRange, Letterbox, from_plane, plane_image


@dataclass(frozen=True, eq=False)
class PackedCases:
    """n cases in a frame of ``rows`` x ``columns``.

    ``images`` (n, rows, columns) uint8; ``points`` (n, k, 2) float32 (x, y) frame pixels as labelled, NaN where a
    landmark lies beyond the image; ``affines`` (n, 3, 3) frame (row, column) -> plane in mm, or original pixels where
    spacing is unknown; ``sizes`` (n, 2) columns and rows of the original; ``groups`` (n,) person; ``ids`` (n,) case.
    """

    images: np.ndarray
    points: np.ndarray
    affines: np.ndarray
    sizes: np.ndarray
    groups: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: np.ndarray) -> "PackedCases":
        return PackedCases(*(value[index] for value in vars(self).values()))

    def save(self, path: Path) -> None:
        """Writes one .npz file; it replaces an older one only when complete."""
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **vars(self))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "PackedCases":
        """Reads what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{name: stored[name] for name in cls.__dataclass_fields__})

    @classmethod
    def join(cls, parts: Sequence["PackedCases"]) -> "PackedCases":
        """All cases of several packs of the same frame."""
        return cls(*(np.concatenate(values) for values in zip(*(vars(p).values() for p in parts), strict=True)))


@dataclass(frozen=True, eq=False)
class LabelledRadiograph:
    """One case to pack: grey ``pixels`` (rows, columns), ``points`` (k, 2) in its pixels (x, y)."""

    pixels: np.ndarray
    points: np.ndarray
    group: str
    id: str
    spacing: tuple[float, float] = (1.0, 1.0)


def pack(cases: Iterable[LabelledRadiograph], size: tuple[int, int]) -> PackedCases:
    """Frames every case in ``size`` (rows, columns); ``spacing`` of a case is mm of rows and columns."""
    normalise, frame = GreyRange(), Letterbox(size)
    rows = [_packed(case, normalise, frame) for case in cases]
    images, points, affines, sizes, groups, ids = zip(*rows, strict=True)
    return PackedCases(
        np.stack(images), np.stack(points), np.stack(affines), np.stack(sizes), np.array(groups), np.array(ids)
    )


def _packed(case: LabelledRadiograph, normalise: GreyRange, frame: Letterbox) -> tuple:
    framed = frame(normalise(plane_image(case.pixels, case.spacing)))
    image = np.rint(framed[0].as_tensor().numpy() * 255).astype(np.uint8)
    in_plane = np.asarray(case.points, dtype=np.float64) * case.spacing[::-1]
    points = from_plane(framed, in_plane).astype(np.float32)
    return image, points, np.asarray(framed.affine), np.array(case.pixels.shape[::-1]), case.group, case.id


def in_anatomical_order(points: np.ndarray) -> np.ndarray:
    """Vertebrae from top to bottom and left before right, for labels stored in another order; (..., 4 v, 2).

    Public spine labels list some vertebrae out of order. Sorting repairs that for training; for evaluation the
    labels stay as they are.
    """
    corners = points.reshape(*points.shape[:-2], -1, 4, 2)
    order = np.argsort(corners.mean(-2)[..., 1], axis=-1)
    ordered = np.take_along_axis(corners, order[..., None, None], axis=-3)
    left, right = ordered[..., 0::2, 0].mean(-1), ordered[..., 1::2, 0].mean(-1)
    return np.where((left > right)[..., None, None], ordered[..., [1, 0, 3, 2], :], ordered).reshape(points.shape)


def grouped_folds(groups: Sequence[str], count: int, seed: int = 0) -> np.ndarray:
    """Fold number per case; one person's cases share a fold, and folds are even in cases.

    Persons are shuffled by ``seed``, then each joins the fold with the fewest cases so far, largest persons first.
    """
    names, sizes = np.unique(np.asarray(groups), return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    filled, fold_of = np.zeros(count, dtype=int), {}
    for k in sorted(shuffled, key=lambda i: -sizes[i]):
        fold_of[names[k]] = int(filled.argmin())
        filled[fold_of[names[k]]] += sizes[k]
    return np.array([fold_of[g] for g in groups])
