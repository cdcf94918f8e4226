"""CT volumes measured by a network, beside what they are: what the tables and plots of an evaluation are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import ImageError, PredictionError
from orthoangles.measuring import measure
from orthoangles.networks.volumes.finding import VolumeLandmarkFinder
from orthoangles.networks.volumes.grid import FINE, WorkingVolume
from orthoangles.networks.volumes.networks import FootVolumeNet
from orthoangles.predicting import Backend
from orthoangles.predictions import Prediction
from orthoangles.protocols import Protocol
from orthoangles.training.landmark_cases import angle_ids
from orthoangles.training.volume_packing import PackedVolume, visible_points


@dataclass(frozen=True, eq=False)
class VolumeCase:
    """One measured foot.

    ``points`` (k, 3) mm as proposed; ``vectors`` (k, 3) mm from label to proposal, NaN where either is missing;
    ``visible`` and ``found`` (k,) bool;
    ``spread`` (k,) mm as stated; ``truth``, ``predicted`` and ``deviations`` (SD) of each angle in degrees, NaN without
    a value; ``warnings``; ``seconds``.
    """

    id: str
    group: str
    points: np.ndarray
    vectors: np.ndarray
    visible: np.ndarray
    found: np.ndarray
    spread: np.ndarray
    truth: dict[str, float]
    predicted: dict[str, float]
    deviations: dict[str, float]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def distances(self) -> np.ndarray:
        """(k,) mm: NaN where the landmark cannot be seen, infinite where it was not found."""
        distance = np.linalg.norm(self.vectors, axis=1)
        return np.where(self.visible, np.where(self.found, distance, np.inf), np.nan)


def packed_cases(
    finder: VolumeLandmarkFinder, network: FootVolumeNet, volumes: Iterable[PackedVolume], protocol: Protocol
) -> list[VolumeCase]:
    """Packed volumes through the networks alone, the side being known; on one device, that of the network."""
    device = next(network.parameters()).device
    return [
        _packed_case(finder, network, volume, protocol, device)
        for volume in tqdm(volumes, desc="Evaluating", unit="case")
    ]


def _packed_case(
    finder: VolumeLandmarkFinder,
    network: FootVolumeNet,
    packed: PackedVolume,
    protocol: Protocol,
    device: torch.device,
) -> VolumeCase:
    started = perf_counter()
    grey = torch.from_numpy(np.array(packed.read())).float() / 255
    with torch.inference_mode():
        coarse = finder.looked_over(WorkingVolume(grey, np.zeros(3)), network, device)
        decoded = finder.closely(coarse, network, device)
    seconds = perf_counter() - started
    labels = FINE * packed.points
    return _compared(
        packed.id, packed.group, labels, decoded.points, decoded.spread, protocol, decoded.warnings, seconds
    )


def backend_cases(backend: Backend, cases: Sequence[tuple[Dataset, Case]]) -> list[VolumeCase]:
    """Every case from its file through ``backend``, as a reader would get it; what is refused counts as not found."""
    return [_backend_case(backend, store, case) for store, case in tqdm(cases, desc="Evaluating", unit="case")]


def _backend_case(backend: Backend, store: Dataset, case: Case) -> VolumeCase:
    protocol = backend.protocol
    labels = visible_points(store, case, protocol)
    try:
        found = [backend.predict(view) for view in backend.views(store.read_image(case))]
        prediction = min(found, key=lambda each: _distance(each, labels))
        points, spread, warnings, seconds = (
            prediction.points,
            prediction.spread,
            prediction.warnings,
            prediction.seconds,
        )
    except (ImageError, PredictionError) as error:
        points = np.full(labels.shape, np.nan)
        spread, warnings, seconds = points[:, 0], (f"refused: {error}",), float("nan")
    return _compared(case.id, case.group, labels, points, spread, protocol, warnings, seconds)


def _distance(prediction: Prediction, labels: np.ndarray) -> float:
    """Mean distance from the labels: of two feet in a volume, one is labelled."""
    distance = np.linalg.norm(prediction.points - labels, axis=1)
    return float(np.nanmean(distance)) if np.isfinite(distance).any() else np.inf


def _compared(
    name: str,
    group: str,
    labels: np.ndarray,
    points: np.ndarray,
    spread: np.ndarray,
    protocol: Protocol,
    warnings: tuple[str, ...],
    seconds: float,
) -> VolumeCase:
    names = angle_ids(protocol)
    truth, predicted = measure(protocol, labels), measure(protocol, points, spread=spread)
    values = [
        {key: np.nan if each.by_id(key).value is None else each.by_id(key).value for key in names}
        for each in (truth, predicted)
    ]
    intervals = {key: predicted.by_id(key).interval for key in names}
    return VolumeCase(
        id=name,
        group=group,
        points=points,
        vectors=points - labels,
        visible=np.isfinite(labels).all(axis=1),
        found=np.isfinite(points).all(axis=1),
        spread=spread,
        truth=values[0],
        predicted=values[1],
        deviations={
            key: (interval[1] - values[1][key]) / 1.96 for key, interval in intervals.items() if interval is not None
        },
        warnings=tuple(warnings),
        seconds=seconds,
    )
