"""The training of a retraining: the bundle's own recipe, slower and shorter, from its present weights."""

import json
import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import PredictionError
from orthoangles.protocols import Protocol
from orthoangles.training.data import Prepared
from orthoangles.training.loop import Schedule, Trainer
from orthoangles.training.mixing import MixedSamples
from orthoangles.training.retraining_plan import Plan, write_plan
from orthoangles.training.retraining_split import Split
from orthoangles.training.stages import Stages, Stop

EXPOSURES = 40
"""How often a corrected case is drawn where no time is given."""
FEWEST_STEPS, MOST_STEPS = 100, 1500
SLOWER = 0.5
"""Learning rate as a share of the recipe's: the weights are good already."""
_EPOCH_STEPS = 20
"""Steps between two lines of training.jsonl."""
_SAVE_SECONDS = 30.0
"""Between checkpoints: what a kill costs at most."""
_LONGER = 1.25
"""Training is broken off where it takes so many times the minutes that it was planned for."""


class FineTuning:
    """Trains the network of ``config`` in ``bundle`` from ``weights``; what it keeps lies in ``output``."""

    def __init__(self, bundle: Path, config: str, protocol: Protocol, weights: Path, output: Path) -> None:
        path = bundle / "configs" / config
        if not path.is_file():
            raise PredictionError(f"bundle '{bundle.name}' has no training config '{config}'")
        self.parser = ConfigParser()
        self.parser.read_config(str(path))
        self.config, self.protocol, self.output = config, protocol, output
        self._simulated = self.parser.get("data::simulated", 0)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = self._network(weights)
        self.recipe: Schedule = self.parser.get_parsed_content("schedule")
        self._parts: dict[str, Prepared] = {}

    def _network(self, weights: Path) -> nn.Module:
        network = self.parser.get_parsed_content("network_def")
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        except RuntimeError as error:
            raise PredictionError(
                f"'{self.config}' trains another network than the one whose weights the bundle has; choose another"
            ) from error
        return network

    # --- cases
    def prepare(
        self, corrected: Sequence[Dataset], old: Sequence[Dataset], split: Split, stages: Stages
    ) -> dict[str, Any]:
        """Packs the cases; returns what is to be recorded of them."""
        # A folder of its own: packed files are known by the ids of their cases, and labels change under these.
        folder = self.output / "data"
        folder.mkdir(exist_ok=True)
        facts = {}
        for number, (name, stores) in enumerate((("corrected", corrected), ("old", old))):
            stages("preparing", 0.1 + 0.4 * number, "Reading the images")
            if split.training[name]:
                with_cases = [store for store in stores if store.usable_cases(self.protocol.id)]
                self._parts[name] = self._data(name, split).prepare(with_cases, folder, self.protocol)
                facts[name] = dict(self._parts[name].facts)
        return facts

    def _data(self, name: str, split: Split):
        """The ``data`` of the recipe with our persons held out; drawn spines belong to the old cases."""
        changes = {"held_out_groups": sorted(split.held_out)}
        known = self.parser["data"]
        if "folds" in known:
            changes |= {"folds": 1, "fold": 0}
        if "simulated" in known:
            changes["simulated"] = 0 if name == "corrected" else self._simulated
        for key, value in changes.items():
            self.parser[f"data::{key}"] = value
        return self.parser.get_parsed_content("data")

    def _samples(self, epoch_steps: int, before_step) -> MixedSamples:
        old = self._parts["old"].training if "old" in self._parts else None
        size, batch = epoch_steps * self.recipe.batch, self.recipe.batch
        return MixedSamples(self._parts["corrected"].training, old, size, batch, before_step)

    # --- steps
    def planned(self, plan: Plan, minutes: float | None, stages: Stages) -> Plan:
        """``plan`` with its steps: those given already, else as many as it needs, or as fit into ``minutes``."""
        if plan.steps:
            return plan
        samples = self._samples(1, lambda step: None)
        corrected = len(self._parts["corrected"].training)
        steps = math.ceil(EXPOSURES * corrected / (samples.share * self.recipe.batch))
        steps = min(max(steps, FEWEST_STEPS), MOST_STEPS)
        if minutes is not None:
            stages("preparing", 0.9, "Timing a step")
            steps = max(1, min(steps, int(60 * minutes / self._seconds_per_step())))
        plan = replace(plan, steps=steps, share=round(samples.share, 4))
        write_plan(self.output, plan)
        return plan

    def _seconds_per_step(self) -> float:
        """Of two steps of a copy, after one to warm up."""
        moments: list[float] = []
        samples = self._samples(3, lambda step: moments.append(time.perf_counter()))
        with TemporaryDirectory() as folder:
            once = Schedule(1, self.recipe.batch)
            trial = Trainer(deepcopy(self.network), self._loss(), once, Path(folder) / "trial.pt", self.device)
            trial.run(samples)
        return (time.perf_counter() - moments[1]) / 2

    def _loss(self):
        return self.parser.get_parsed_content("loss")

    def run(self, plan: Plan, minutes: float | None, stages: Stages, stop: Stop) -> Trainer:
        """Trains until the steps are done, or the clock has run far beyond ``minutes``."""
        epoch_steps = min(plan.steps, _EPOCH_STEPS)
        schedule = self._schedule(plan.steps, epoch_steps)
        steps = schedule.epochs * epoch_steps
        trainer = Trainer(self.network, self._loss(), schedule, self.output / "checkpoint.pt", self.device)
        watch = _Watch(trainer, steps, stages, stop)
        with stop.held():
            left = None if minutes is None else max(0.0, _LONGER * minutes - trainer.seconds / 60)
            trainer.run(self._samples(epoch_steps, watch), None, left, _log(self.output / "training.jsonl"))
        stages("training", 1.0, f"{trainer.step} of {steps} steps done")
        return trainer

    def _schedule(self, steps: int, epoch_steps: int) -> Schedule:
        """The recipe's, with an average over no more than the last tenth of the steps."""
        epochs = max(1, round(steps / epoch_steps))
        return replace(
            self.recipe,
            epochs=epochs,
            rate=SLOWER * self.recipe.rate,
            warmup=0.05 * epochs,
            average=min(self.recipe.average, max(0.9, 1 - 10 / steps)),
        )


class _Watch:
    """Before each step: stops with a checkpoint where asked to, saves now and then, tells how far it is."""

    def __init__(self, trainer: Trainer, steps: int, stages: Stages, stop: Stop) -> None:
        self._trainer, self._steps, self._stages, self._stop = trainer, steps, stages, stop
        self._saved = self._began = time.monotonic()
        self._first = trainer.step

    def __call__(self, step: int) -> None:
        now = time.monotonic()
        if self._stop.wanted or now - self._saved > _SAVE_SECONDS:
            self._trainer.save()
            self._saved = now
        self._stop.check()
        done = step - self._first
        left = (now - self._began) / done * (self._steps - step) if done else None
        self._stages("training", step / self._steps, f"Step {step + 1} of {self._steps}", left)


def _log(path: Path) -> Callable[[dict], None]:
    """Appends one JSON object a line; standard output belongs to the progress."""

    def report(values: dict) -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}) + "\n")

    return report
