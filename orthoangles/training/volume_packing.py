"""Labelled CT volumes on the networks' grid, each in a file of its own that is read in parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.images import Image
from orthoangles.networks.volumes.grid import FINE, VolumeView, working_volume
from orthoangles.protocols import Protocol

MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
"""A left foot's LPS to canonical space, and back."""


@dataclass(frozen=True, eq=False)
class PackedVolume:
    """``file`` holds (z, y, x) uint8 grey at 0.75 mm in canonical space; ``points`` (k, 3) (x, y, z) in its voxels, NaN
    where a landmark cannot be seen; ``group`` person, ``id`` case.
    """

    file: Path
    points: np.ndarray
    group: str
    id: str

    def read(self) -> np.ndarray:
        """The volume, mapped from its file and not read as a whole."""
        return np.load(self.file, mmap_mode="r", allow_pickle=False)


def packed_volumes(dataset: Dataset, protocol: Protocol, output: Path) -> list[PackedVolume]:
    """Every case of ``protocol`` in ``dataset``; what ``output`` holds already is not made again.

    Raises DatasetError where there is none, or where a case has no side.
    """
    chosen = dataset.usable_cases(protocol.id)
    if not chosen:
        raise DatasetError(f"{dataset.folder.name}: holds no case of protocol '{protocol.id}'")
    output.mkdir(parents=True, exist_ok=True)
    return [_packed(dataset, case, protocol, output) for case in tqdm(chosen, desc="Packing", unit="case")]


def _packed(dataset: Dataset, case: Case, protocol: Protocol, output: Path) -> PackedVolume:
    file = output / f"{case.id}.npy"
    labels = output / f"{case.id}.points.npy"
    if not labels.exists():
        image = dataset.read_image(case)
        view = whole_view(image, case.id)
        volume = working_volume(view)
        grey = torch.round(volume.grey * 255).to(torch.uint8).numpy()
        _save(file, grey)
        canonical = to_canonical(visible_points(dataset, case, protocol), image.laterality)
        _save(labels, (canonical - volume.origin) / FINE)
    return PackedVolume(file, np.load(labels, allow_pickle=False), case.group, case.id)


def _save(path: Path, array: np.ndarray) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.save(stream, array)
    partial.replace(path)


def visible_points(dataset: Dataset, case: Case, protocol: Protocol) -> np.ndarray:
    """(k, 3) LPS mm as labelled, NaN where a landmark is hidden: its place is known, but outside the field of view."""
    points = dataset.read_points(case, protocol.landmark_ids)
    hidden = np.isin(protocol.landmark_ids, list(case.provenance.get("parameters", {}).get("hidden", ())))
    points[hidden] = np.nan
    return points


def to_canonical(points: np.ndarray, laterality: str | None) -> np.ndarray:
    """LPS points (k, 3) to canonical space, or back."""
    return points * (-1.0, 1.0, 1.0) if laterality == "L" else points


def whole_view(image: Image, name: str) -> VolumeView:
    """All of ``image`` in canonical space. DatasetError where its side is not known."""
    if image.laterality not in ("L", "R"):
        raise DatasetError(f"{name}: its side, left or right, is not known; state it in the dataset")
    origin = image.index_points(np.zeros((1, 3)))[0]
    to_index = np.eye(4)
    to_index[:3, :3] = (image.index_points(np.eye(3)) - origin).T
    to_index[:3, 3] = origin
    if image.laterality == "L":
        to_index = to_index @ MIRROR
    corners = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]) * (np.array(image.size) - 1)
    canonical = (corners - to_index[:3, 3]) @ np.linalg.inv(to_index[:3, :3]).T
    return VolumeView(image.array, to_index, canonical.min(0), canonical.max(0))


def joined(parts: Sequence[Sequence[PackedVolume]]) -> list[PackedVolume]:
    """All volumes of several datasets."""
    return [volume for part in parts for volume in part]
