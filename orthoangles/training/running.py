"""One training run: a bundle's config and datasets in, a bundle with new weights out."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from orthoangles.annotation.dataset import Dataset
from orthoangles.atomic import write_json
from orthoangles.errors import PredictionError
from orthoangles.predicting import bundle_folder
from orthoangles.protocols import load_protocol
from orthoangles.training.loop import Trainer, write_line
from orthoangles.training.memory import keep_freed_memory

_SHARED = ("network_def", "size", "postprocessing", "preprocessing")
"""What a training config may say of inference too."""


class TrainingRun:
    """Trains the network of ``config`` in ``bundle`` on ``datasets``; everything it writes lies in ``output``.

    ``output`` holds the packed cases, the checkpoint, the log (one JSON object an epoch) and, after each call, a
    complete bundle with the averaged weights.
    """

    def __init__(
        self, bundle: str | Path, datasets: Sequence[Path], output: Path, config: str, init: Path | None = None
    ) -> None:
        self.source = bundle_folder(bundle)
        self.datasets, self.output = [Dataset(folder) for folder in datasets], output
        self.parser = ConfigParser()
        path = self.source / "configs" / config
        if not path.is_file():
            raise PredictionError(f"bundle '{self.source.name}' has no training config '{config}'")
        self.parser.read_config(str(path))
        self.metadata = json.loads((self.source / "configs" / "metadata.json").read_text(encoding="utf-8"))
        named = self.metadata["orthoangles"]["protocol"]
        self.protocol = load_protocol(named) if named else None
        self.config, self.init = config, init

    def __call__(self, minutes: float | None = None) -> bool:
        """Trains until the schedule or the clock ends; true when the schedule is complete."""
        keep_freed_memory()
        self.output.mkdir(parents=True, exist_ok=True)
        data = self.parser.get_parsed_content("data").prepare(self.datasets, self.output, self.protocol)
        trainer = self._trainer()
        print(
            f"Training on {len(data.training)} cases, validating on {len(data.validation)}, device {trainer.device}.",
            flush=True,
        )
        complete = trainer.run(data.training, data.validation, minutes, write_line(self.output / "training.jsonl"))
        self._write_bundle(trainer, data.facts)
        return complete

    def _trainer(self) -> Trainer:
        network = self.parser.get_parsed_content("network_def")
        checkpoint = self.output / "checkpoint.pt"
        if self.init and not checkpoint.exists():
            network.load_state_dict(torch.load(self.init, map_location="cpu", weights_only=True))
        elif "initialise" in self.parser and not checkpoint.exists():
            self.parser.get_parsed_content("initialise")(network)
        return Trainer(
            network,
            self.parser.get_parsed_content("loss"),
            self.parser.get_parsed_content("schedule"),
            checkpoint,
            "cuda" if torch.cuda.is_available() else "cpu",
        )

    def _write_bundle(self, trainer: Trainer, facts: Mapping[str, Any]) -> None:
        """Weights first, then the metadata that names them: a bundle in between is refused by its digest."""
        for folder in ("configs", "docs"):
            shutil.copytree(self.source / folder, self.output / folder, dirs_exist_ok=True)
        weights = self.output / "models" / "model.pt"
        weights.parent.mkdir(exist_ok=True)
        partial = weights.with_suffix(".partial")
        torch.save({name: stored_weight(value) for name, value in trainer.averaged.state_dict().items()}, partial)
        partial.replace(weights)
        inference = json.loads((self.source / "configs" / "inference.json").read_text(encoding="utf-8"))
        inference.update({name: self.parser.config[name] for name in _SHARED if name in self.parser.config})
        write_json(self.output / "configs" / "inference.json", inference)
        self.metadata["orthoangles"].update(
            weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
            training={
                "date": date.today().isoformat(),
                "config": self.config,
                **facts,
                "steps": trainer.step,
                "seconds": round(trainer.seconds),
            },
        )
        write_json(self.output / "configs" / "metadata.json", self.metadata)


def stored_weight(value: torch.Tensor) -> torch.Tensor:
    """Kernels in half precision, which halves the file: a part in a thousand of each is far below what decides.

    Biases and normalisation stay as they are; loading makes float32 of all.
    """
    value = value.cpu().contiguous()
    return value.half() if value.dim() > 1 and value.dtype == torch.float32 else value
