"""One training run: a bundle's config and a dataset in, a bundle with new weights out."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError, PredictionError
from orthoangles.predicting import bundle_folder
from orthoangles.protocols import Protocol, load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine
from orthoangles.training.loop import Trainer, write_line
from orthoangles.training.packing import LabelledRadiograph, PackedCases, grouped_folds, pack

SIMULATED_GROUP = "simulated"
_FIRST_TRAINING_SEED = 100_000
"""Simulated training spines use seeds from here on, so that samples and tests with small seeds stay unseen."""


class TrainingRun:
    """Trains the network of ``config`` in ``bundle`` on ``dataset``; everything it writes lies in ``output``.

    ``output`` holds the packed cases, the checkpoint, the log (one JSON object an epoch) and, after each call, a
    complete bundle with the averaged weights.
    """

    def __init__(self, bundle: str | Path, dataset: Path, output: Path, config: str, init: Path | None = None) -> None:
        self.source = bundle_folder(bundle)
        self.dataset, self.output = Dataset(dataset), output
        self.parser = ConfigParser()
        path = self.source / "configs" / config
        if not path.is_file():
            raise PredictionError(f"bundle '{self.source.name}' has no training config '{config}'")
        self.parser.read_config(str(path))
        self.metadata = json.loads((self.source / "configs" / "metadata.json").read_text(encoding="utf-8"))
        self.protocol = load_protocol(self.metadata["orthoangles"]["protocol"])
        self.init = init

    def __call__(self, minutes: float | None = None) -> bool:
        """Trains until the schedule or the clock ends; true when the schedule is complete."""
        self.output.mkdir(parents=True, exist_ok=True)
        cases = self._packed()
        folds = grouped_folds(cases.groups, self.parser["folds"])
        held_out = folds == self.parser["fold"]
        training = self._with_simulated(cases[~held_out])
        trainer = self._trainer()
        print(
            f"Training on {len(training)} cases, validating on {held_out.sum()}, device {trainer.device}.", flush=True
        )
        complete = trainer.run(training, cases[held_out], minutes, write_line(self.output / "training.jsonl"))
        self._write_bundle(trainer, len(training))
        return complete

    def _packed(self) -> PackedCases:
        size = tuple(self.parser["packed_size"])
        file = self.output / f"packed-{dataset_digest(self.dataset)[:16]}-{size[0]}x{size[1]}.npz"
        if not file.exists():
            pack(labelled_radiographs(self.dataset, self.protocol), size).save(file)
        return PackedCases.load(file)

    def _with_simulated(self, cases: PackedCases) -> PackedCases:
        count = self.parser["simulated"]
        if not count:
            return cases
        size = tuple(self.parser["packed_size"])
        file = self.output / f"simulated-{count}-{size[0]}x{size[1]}.npz"
        if not file.exists():
            pack(simulated_radiographs(count), size).save(file)
        return PackedCases.join([cases, PackedCases.load(file)])

    def _trainer(self) -> Trainer:
        network = self.parser.get_parsed_content("network_def")
        checkpoint = self.output / "checkpoint.pt"
        if self.init and not checkpoint.exists():
            network.load_state_dict(torch.load(self.init, map_location="cpu", weights_only=True))
        return Trainer(
            network,
            self.parser.get_parsed_content("loss"),
            self.parser.get_parsed_content("schedule"),
            self.parser["size"],
            self.parser.get_parsed_content("augmentation"),
            checkpoint,
            "cuda" if torch.cuda.is_available() else "cpu",
        )

    def _write_bundle(self, trainer: Trainer, cases: int) -> None:
        """Weights first, then the metadata that names them: a bundle in between is refused by its digest."""
        for folder in ("configs", "docs"):
            shutil.copytree(self.source / folder, self.output / folder, dirs_exist_ok=True)
        weights = self.output / "models" / "model.pt"
        weights.parent.mkdir(exist_ok=True)
        partial = weights.with_suffix(".partial")
        torch.save({name: value.cpu().contiguous() for name, value in trainer.averaged.state_dict().items()}, partial)
        partial.replace(weights)
        inference = json.loads((self.source / "configs" / "inference.json").read_text(encoding="utf-8"))
        inference["network_def"], inference["size"] = self.parser["network_def"], list(self.parser["size"])
        write_json(self.output / "configs" / "inference.json", inference)
        self.metadata["orthoangles"].update(
            weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
            training={
                "date": date.today().isoformat(),
                "dataset_sha256": dataset_digest(self.dataset),
                "cases": cases,
                "simulated": self.parser["simulated"],
                "folds": self.parser["folds"],
                "held_out_fold": self.parser["fold"],
                "steps": trainer.step,
            },
        )
        write_json(self.output / "configs" / "metadata.json", self.metadata)


def labelled_radiographs(dataset: Dataset, protocol: Protocol) -> Iterator[LabelledRadiograph]:
    """Every case of ``dataset`` with all landmarks placed, in pixels; cases of another protocol are an error."""
    for case in tqdm(dataset.cases, desc="Packing", unit="case"):
        if case.protocol != protocol.id:
            raise DatasetError(f"case '{case.id}' is of protocol '{case.protocol}', the bundle of '{protocol.id}'")
        image = dataset.read_image(case)
        pixels = image.index_points(dataset.read_points(case, protocol.landmark_ids))[:, :2]
        if np.isfinite(pixels).all():
            spacing = (float(image.spacing[1]), float(image.spacing[0]))
            yield LabelledRadiograph(image.array[0], pixels.reshape(-1, 4, 2), case.group, case.id, spacing)


def simulated_radiographs(count: int) -> Iterator[LabelledRadiograph]:
    """``count`` rendered spines, reproducible, of the training seeds."""
    for seed in tqdm(range(_FIRST_TRAINING_SEED, _FIRST_TRAINING_SEED + count), desc="Simulating", unit="case"):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(900, 1300))
        spine = simulate_spine(seed, (rows, int(rows * rng.uniform(0.38, 0.5))))
        yield LabelledRadiograph(spine.image, spine.corners, f"{SIMULATED_GROUP} {seed}", f"{SIMULATED_GROUP} {seed}")


def dataset_digest(dataset: Dataset) -> str:
    """Hex SHA-256 over case ids and groups: the same cases give the same folds, wherever the folder lies."""
    names = (f"{case.id}\t{case.group}" for case in dataset.cases)
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def held_out_cases(dataset: Dataset, training: dict | None) -> list[Case]:
    """Cases of ``dataset`` that a network with this ``training`` record has not seen; all of another dataset."""
    cases = list(dataset.cases)
    if not training or training["dataset_sha256"] != dataset_digest(dataset):
        return cases
    folds = grouped_folds([case.group for case in cases], training["folds"])
    return [case for case, fold in zip(cases, folds, strict=True) if fold == training["held_out_fold"]]
