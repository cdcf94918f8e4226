"""Feet made of blobs in a volume, each landmark with a grey value of its own, and a finder that knows these values."""

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree
from support.feet import RIGHT_LPS, ordered, standing_foot

from orthoangles.images import Image
from orthoangles.protocols import load_protocol

PROTOCOL = "foot-wbct"
AIR, TISSUE, BONE = -1000, 0, 500
CODES = 600 + 50 * np.arange(22)
"""HU at each landmark."""
_BONES = "T1 T2 TA1 TA2 TA3 TA4 N1 N2 TA5 TA3;TA2 C4 C6 C5 C2 C1 C3 C4;N1 M1a M1b P1 P2;N2 M2a M2b;C5 M5"  # chains
_BONE_RADIUS, _CODE_RADIUS, _SKIN = 5.0, 3.5, 16.0


def right_foot() -> np.ndarray:
    """(22, 3) LPS mm; the ground is z = 0."""
    return ordered(PROTOCOL, standing_foot()) * RIGHT_LPS


def left_foot(apart: float = 150.0) -> np.ndarray:
    """Its mirror image, ``apart`` mm to the patient's left."""
    return right_foot() * [-1.0, 1.0, 1.0] + [apart, 0.0, 0.0]


@dataclass(frozen=True)
class Scan:
    """How feet are scanned: ``spacing`` mm (column, row, slice), ``direction`` (3, 3), ``floor`` mm of a plate, its top
    at z = 0; grey values are ``gain`` HU + ``offset``; ``noise`` HU; ``outside``: value beyond a round field of view.
    """

    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    direction: tuple = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    floor: float = 0.0
    gain: float = 1.0
    offset: float = 0.0
    noise: float = 12.0
    outside: float | None = None
    dtype: type = np.int16

    def of(self, *feet: np.ndarray, name: str = "feet.nrrd", **about) -> Image:
        """The volume of these feet (each (22, 3) LPS mm)."""
        direction, spacing = np.array(self.direction), np.array(self.spacing)
        places = np.vstack(feet)
        low, high = np.nanmin(places, axis=0) - 24, np.nanmax(places, axis=0) + 24
        # Seen up to the topmost landmark: a leg is cut off.
        high[2] -= 20
        corners = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
        along = (low + corners * (high - low)) @ direction
        origin = direction @ along.min(axis=0)
        size = np.ceil(np.ptp(along, axis=0) / spacing).astype(int) + 1
        index = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1).reshape(-1, 3)
        lps = index * spacing @ direction.T + origin
        values = self._hounsfield(lps, feet) * self.gain + self.offset
        if self.outside is not None:
            values[np.hypot(*((lps - (low + high) / 2)[:, :2]).T) > 0.5 * np.hypot(*(high - low)[:2])] = self.outside
        array = values.reshape(size).transpose(2, 1, 0)
        if np.dtype(self.dtype).kind in "iu":
            limits = np.iinfo(self.dtype)
            array = np.clip(np.rint(array), limits.min, limits.max)
        about = {"modality": "CT", "spacing_source": "test", **about}
        return Image(array.astype(self.dtype), spacing, origin, direction, name=name, **about)

    def _hounsfield(self, lps: np.ndarray, feet) -> np.ndarray:
        values = np.full(len(lps), float(AIR))
        if self.floor:
            values[(lps[:, 2] <= 0) & (lps[:, 2] > -self.floor)] = 60.0
        for foot in feet:
            far, _ = cKDTree(_bones(foot)).query(lps, distance_upper_bound=_SKIN)
            values[far < _SKIN] = TISSUE
            values[far < _BONE_RADIUS] = BONE
        for foot in feet:
            there = np.flatnonzero(np.isfinite(foot[:, 0]))
            far, nearest = cKDTree(foot[there]).query(lps, distance_upper_bound=_CODE_RADIUS)
            near = far < _CODE_RADIUS
            values[near] = CODES[there[nearest[near]]]
        coded = np.isin(values, CODES)
        noise = np.random.default_rng(0).normal(scale=self.noise, size=len(values))
        return values + np.where(coded, np.clip(noise, -15, 15), noise)


def _bones(foot: np.ndarray) -> np.ndarray:
    """Points 2 mm apart along the bones."""
    place = dict(zip(load_protocol(PROTOCOL).landmark_ids, foot, strict=True))
    lines = []
    for chain in _BONES.split(";"):
        names = [name for name in chain.split() if np.isfinite(place[name]).all()]
        for start, end in pairwise(names):
            steps = int(np.linalg.norm(place[end] - place[start]) / 2) + 2
            lines.append(np.linspace(place[start], place[end], steps))
    return np.vstack(lines)


@dataclass(frozen=True)
class Coarse:
    """As ``CoarseResult`` of the networks, as far as it is looked at."""

    score: float


@dataclass(frozen=True)
class Decoded:
    """As ``DecodedPoints3``."""

    points: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    warnings: tuple[str, ...] = ()


class BlobFinder:
    """Knows each landmark by its grey value; the interface is that of ``networks.volumes.finding``.

    It scores what it sees as a right foot 0.9, a mirrored one 0.5.
    """

    def __init__(self, layers: int = 3) -> None:
        self.layers = layers

    def coarse(self, view, network, device, step) -> Coarse:
        self._run(network, step, "Looking over the whole foot")
        points = self.points(view)
        place = dict(zip(load_protocol(PROTOCOL).landmark_ids, points, strict=True))
        axes = np.stack([place["N2"] - place["N1"], place["TA3"] - place["TA2"], place["T2"] - place["C1"]])
        return Coarse(0.9 if np.linalg.det(axes) > 0 else 0.5)

    def __call__(self, view, network, device, step, coarse) -> Decoded:
        assert coarse.score in (0.5, 0.9)
        self._run(network, step, "Looking closely at each joint")
        return decoded(self.points(view))

    def _run(self, network, step, message: str) -> None:
        import torch

        for number in range(self.layers):
            step(number / self.layers, message)
            network(torch.zeros(1, 1, 3, 3, 3))

    @staticmethod
    def points(view) -> np.ndarray:
        to_canonical = np.linalg.inv(view.to_index)
        points = np.full((len(CODES), 3), np.nan)
        for k, code in enumerate(CODES):
            index = np.argwhere(np.abs(view.array - code) < 20)[:, ::-1]
            places = index @ to_canonical[:3, :3].T + to_canonical[:3, 3]
            places = places[((places >= view.low) & (places <= view.high)).all(axis=1)]
            # A value between two others may be met at a bone's edge: a landmark is a ball of it.
            if len(places):
                middle = np.median(places, axis=0)
                near = places[np.linalg.norm(places - middle, axis=1) < 2 * _CODE_RADIUS]
                points[k] = near.mean(axis=0) if len(near) > 3 else np.nan
        return points


def decoded(points: np.ndarray) -> Decoded:
    """What a network says that found these (22, 3) points."""
    found = np.isfinite(points).all(axis=1)
    lost = tuple(np.array(load_protocol(PROTOCOL).landmark_ids)[~found])
    warnings = (f"not found in the volume: {', '.join(lost)}",) if lost else ()
    return Decoded(points, np.where(found, 0.9, 0.0), np.where(found, 0.5, np.nan), warnings)


def write_bundle(folder):
    """A bundle with a :class:`BlobFinder` in the place of the networks; returns ``folder``."""
    import torch

    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    torch.manual_seed(0)
    torch.save(torch.nn.Conv3d(1, 1, 3).state_dict(), folder / "models" / "model.pt")
    digest = hashlib.sha256((folder / "models" / "model.pt").read_bytes()).hexdigest()
    inference = {
        "network_def": {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 1, "kernel_size": 3},
        "postprocessing": {"_target_": "support.blob_feet.BlobFinder"},
    }
    about = {"protocol": PROTOCOL, "weights_sha256": digest}
    metadata = {"name": "blobs", "version": "1.0.0", "orthoangles": about}
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return folder
