"""Labelled radiographs from their files through a network: what each landmark, angle and finding came to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError, ImageError, PredictionError
from orthoangles.images import Image
from orthoangles.measuring import MeasurementResult, measure
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import Protocol as MeasuringProtocol
from orthoangles.training import point_metrics as metrics

REFUSED = "refused: "
"""How the warning of a case begins whose image the network would not measure."""


class Predictor(Protocol):
    """What is evaluated: a :class:`orthoangles.predicting.Backend`, or anything with these three."""

    protocol: MeasuringProtocol
    model: ModelInfo

    def predict(self, image: Image) -> Prediction:
        """Landmarks of one image."""
        ...


@dataclass(frozen=True, eq=False)
class LandmarkCase:
    """One radiograph: errors of its landmarks (k,) in its pixels, and labelled and predicted values by id.

    ``errors`` is NaN without a label and infinite where nothing was found; ``hidden`` (k,) marks what lies on the image
    and cannot be seen; ``spread`` is one SD per coordinate in pixels; ``side`` the longer side of the image in pixels;
    ``mm_per_pixel`` is NaN where unknown. ``deviations`` are the stated SDs of the angles, degrees.
    """

    id: str
    group: str
    side: float
    mm_per_pixel: float
    errors: np.ndarray
    hidden: np.ndarray
    spread: np.ndarray
    confidence: np.ndarray
    truth: Mapping[str, float]
    predicted: Mapping[str, float]
    deviations: Mapping[str, float]
    true_findings: Mapping[str, bool | None]
    found: Mapping[str, bool | None]
    warnings: tuple[str, ...]
    seconds: float

    @property
    def mean_error(self) -> float:
        """Mean pixel error of the landmarks that were found."""
        return metrics.mean_found(self.errors)


def protocol_cases(folders: Iterable[Path], protocol: str) -> list[tuple[Dataset, Case]]:
    """All cases of one protocol in these datasets. Raises DatasetError where there is none."""
    stores = [Dataset(folder) for folder in folders]
    chosen = [(store, case) for store in stores for case in store.usable_cases(protocol)]
    if not chosen:
        raise DatasetError(f"{', '.join(store.folder.name for store in stores)}: no case of protocol '{protocol}'")
    return chosen


def measured_cases(backend: Predictor, cases: Sequence[tuple[Dataset, Case]]) -> list[LandmarkCase]:
    """Every case through ``backend``. An image that it refuses counts as one on which nothing was found."""
    return [measured_case(backend, store, case) for store, case in tqdm(cases, desc="Evaluating", unit="case")]


def measured_case(backend: Predictor, store: Dataset, case: Case) -> LandmarkCase:
    """One case of ``store`` through ``backend``."""
    protocol, image = backend.protocol, store.read_image(case)
    labels = store.read_points(case, protocol.landmark_ids)
    prediction = _predicted(backend, image)
    truth = measure(protocol, labels, image=image, age=image.patient_age, laterality=image.laterality)
    found = measure(
        protocol,
        prediction.points,
        spread=prediction.spread,
        image=image,
        age=image.patient_age,
        laterality=image.laterality,
        foreground=prediction.foreground,
    )
    pixels = [image.index_points(points)[:, :2] for points in (labels, prediction.points)]
    parameters = case.provenance.get("parameters", {})
    columns, rows, _ = image.size
    return LandmarkCase(
        id=case.id,
        group=case.group,
        side=float(max(columns, rows)),
        mm_per_pixel=_mm_per_pixel(image, parameters),
        errors=metrics.point_errors(*pixels),
        hidden=np.isin(protocol.landmark_ids, list(parameters.get("hidden", ()))),
        spread=prediction.spread / float(np.sqrt(image.spacing[0] * image.spacing[1])),
        confidence=prediction.confidence,
        truth=_values(truth, protocol),
        predicted=_values(found, protocol),
        deviations=_deviations(found, protocol),
        true_findings={finding.id: finding.present for finding in truth.findings},
        found={finding.id: finding.present for finding in found.findings},
        warnings=prediction.warnings,
        seconds=prediction.seconds,
    )


def _predicted(backend: Predictor, image: Image) -> Prediction:
    try:
        return backend.predict(image)
    except (PredictionError, ImageError) as error:
        ids = backend.protocol.landmark_ids
        nothing = np.full((len(ids), 3), np.nan)
        refusal = (f"{REFUSED}{error}",)
        return Prediction(
            backend.protocol.id, ids, nothing, np.zeros(len(ids)), nothing[:, 0], backend.model, warnings=refusal
        )


def _mm_per_pixel(image: Image, parameters: Mapping[str, Any]) -> float:
    """As the simulation recorded it, else as the file says; pictures carry no spacing."""
    stated = parameters.get("view", {}).get("mm_per_pixel")
    if stated is None and image.has_spacing:
        stated = np.sqrt(image.spacing[0] * image.spacing[1])
    return float("nan") if stated is None else float(stated)


def angle_ids(protocol: MeasuringProtocol) -> tuple[str, ...]:
    """Ids of the measurements in degrees."""
    return tuple(entry.id for entry in protocol.measurements if entry.unit == "deg")


def _values(result: MeasurementResult, protocol: MeasuringProtocol) -> dict[str, float]:
    values = {name: result.by_id(name).value for name in angle_ids(protocol)}
    return {name: float("nan") if value is None else float(value) for name, value in values.items()}


def _deviations(result: MeasurementResult, protocol: MeasuringProtocol) -> dict[str, float]:
    """SD behind each 95 % interval, from its upper half: the lower one may end at zero."""
    entries = [result.by_id(name) for name in angle_ids(protocol)]
    return {entry.id: (entry.interval[1] - entry.value) / 1.96 for entry in entries if entry.interval}


def stacked(cases: Sequence[LandmarkCase]) -> dict[str, np.ndarray]:
    """Errors (n, k) of all cases: ``px``, ``mm`` (NaN where the scale is unknown) and ``nme``, and ``hidden``."""
    px = np.stack([case.errors for case in cases])
    scale, side = (np.array([[getattr(case, key)] for case in cases]) for key in ("mm_per_pixel", "side"))
    return {"px": px, "mm": px * scale, "nme": px / side, "hidden": np.stack([case.hidden for case in cases])}


def angle_pairs(cases: Sequence[LandmarkCase], name: str) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted values (n,) of one angle in degrees, NaN where there is none."""
    return np.array([case.truth[name] for case in cases]), np.array([case.predicted[name] for case in cases])
