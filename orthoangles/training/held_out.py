"""Evaluation of a bundle on cases that it was not trained on, by the tables that its protocol asks for."""

from collections.abc import Sequence
from pathlib import Path

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.predicting import Backend, bundle_metadata
from orthoangles.training.data import held_out_cases


def evaluate_bundle(bundle: str | Path, datasets: Sequence[Path], output: Path) -> dict:
    """Writes summary.json, summary.md, cases.csv and plots to ``output``; returns the summary."""
    training = bundle_metadata(bundle)["orthoangles"].get("training")
    backend = Backend(bundle)
    cases = held_out(backend.protocol.id, datasets, training)
    if backend.protocol.columns:
        from orthoangles.training.evaluation import evaluate as evaluated
    elif backend.protocol.dimension == 3:
        from orthoangles.training.volume_evaluation import evaluate_volumes as evaluated
    else:
        from orthoangles.training.landmark_evaluation import evaluate_landmarks as evaluated
    of = sum(case.protocol == backend.protocol.id for folder in datasets for case in Dataset(folder).cases)
    return evaluated(backend, cases, output, {"training": training, "of": of})


def held_out(protocol_id: str, datasets: Sequence[Path], training: dict | None) -> list[tuple[Dataset, Case]]:
    """Cases of ``datasets`` that a network with this ``training`` record has not seen; DatasetError where none is."""
    stores = [Dataset(folder) for folder in datasets]
    cases = [(store, case) for store in stores for case in held_out_cases(store, training, protocol_id)]
    if not cases:
        names = ", ".join(store.folder.name for store in stores)
        raise DatasetError(f"{names}: has no case of protocol '{protocol_id}' that the network was not trained on")
    return cases
