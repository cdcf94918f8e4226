"""A prediction as JSON and back, to the last bit: in a scene's attributes and in the files of a worklist."""

from dataclasses import asdict
from typing import Any

import numpy as np

from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import Protocol


def prediction_record(prediction: Prediction) -> dict[str, Any]:
    """JSON types only; NaN becomes null. The protocol is not in it: whoever keeps the record knows it."""
    return {
        "model": asdict(prediction.model),
        "points": [None if np.isnan(point).any() else point.tolist() for point in prediction.points],
        "confidence": _numbers(prediction.confidence),
        "spread": _numbers(prediction.spread),
        "foreground": {axis: np.asarray(points).tolist() for axis, points in prediction.foreground.items()},
        "warnings": list(prediction.warnings),
        "device": prediction.device,
        "seconds": None if np.isnan(prediction.seconds) else prediction.seconds,
    }


def prediction_from_record(record: dict[str, Any], protocol: Protocol) -> Prediction:
    """The prediction of a record made for ``protocol``; ValueError, KeyError or TypeError where it is none."""
    return Prediction(
        protocol=protocol.id,
        landmark_ids=protocol.landmark_ids,
        points=np.array([[np.nan] * 3 if point is None else point for point in record["points"]], dtype=np.float64),
        confidence=_array(record["confidence"]),
        spread=_array(record["spread"]),
        model=ModelInfo(**record["model"]),
        foreground={axis: np.array(points, dtype=np.float64) for axis, points in record["foreground"].items()},
        warnings=tuple(record["warnings"]),
        device=record["device"],
        seconds=np.nan if record["seconds"] is None else record["seconds"],
    )


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _array(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
