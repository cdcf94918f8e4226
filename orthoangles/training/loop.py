"""The training loop: stops by the clock, writes checkpoints atomically, goes on from them."""

import json
import math
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from orthoangles.networks.memory_layout import memory_layout
from orthoangles.training.samples import Samples

_OPTIMISERS = {
    "adamw": lambda parameters, s: torch.optim.AdamW(parameters, lr=s.rate, weight_decay=s.decay),
    "rmsprop": lambda parameters, s: torch.optim.RMSprop(parameters, lr=s.rate, weight_decay=s.decay),
}


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    ``epochs`` set the length of the cosine from ``rate`` to a hundredth of it after ``warmup`` epochs, or of a constant
    ``rate`` where ``cosine`` is false; ``average`` is the decay of the exponential moving average of the weights, which
    is what is evaluated and shipped. ``optimiser`` is adamw or rmsprop, ``decay`` its weight decay.
    """

    epochs: int
    batch: int = 4
    rate: float = 1e-3
    decay: float = 1e-4
    warmup: float = 1.0
    average: float = 0.998
    clip: float = 5.0
    seed: int = 0
    optimiser: str = "adamw"
    cosine: bool = True

    def rate_at(self, epoch: float) -> float:
        """Learning rate after ``epoch`` (fractional) epochs."""
        if epoch < self.warmup:
            return self.rate * (0.01 + 0.99 * epoch / self.warmup)
        if not self.cosine:
            return self.rate
        done = min(1.0, (epoch - self.warmup) / max(self.epochs - self.warmup, 1e-9))
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


class Trainer:
    """Trains one network.

    Args:
        network: from (b, 1, rows, columns) images, or (b, 1, d, h, w) volumes, in -0.5..0.5 to the output that ``loss``
            takes.
        loss: callable of output and targets (on the same device) -> (total, terms).
        schedule: see :class:`Schedule`.
        checkpoint: file that holds the state; training goes on from it when it exists.
        device: where to compute; CUDA trains under bfloat16 autocast.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Any, Tensor], tuple[Tensor, Mapping[str, Tensor]]],
        schedule: Schedule,
        checkpoint: Path,
        device: str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.layout = memory_layout(network)
        self.network = network.to(self.device, memory_format=self.layout)
        self.averaged = deepcopy(self.network).eval().requires_grad_(False)
        self.loss, self.schedule, self.checkpoint = loss, schedule, checkpoint
        learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimiser = _OPTIMISERS[schedule.optimiser](learnt, schedule)
        self.step, self.seconds = 0, 0.0
        if checkpoint.exists():
            self._restore(torch.load(checkpoint, map_location=self.device, weights_only=True))

    def run(
        self,
        training: Samples,
        validation: Samples | None = None,
        minutes: float | None = None,
        report: Callable[[dict], None] | None = None,
    ) -> bool:
        """Trains until the schedule or the clock ends; true when the schedule is complete.

        ``report`` receives a dict of the losses of each epoch. The checkpoint is written at the end, every epoch and
        when the clock stops in the middle of one.
        """
        started = time.monotonic() - self.seconds
        stop = math.inf if minutes is None else time.monotonic() + 60 * minutes
        per_epoch = max(1, len(training) // self.schedule.batch)
        total = self.schedule.epochs * per_epoch
        sums: dict[str, float] = {}
        bar = tqdm(total=total, initial=self.step, desc="Training", unit="step", disable=None)
        while self.step < total and time.monotonic() < stop:
            epoch, position = divmod(self.step, per_epoch)
            order = np.random.default_rng([self.schedule.seed, epoch]).permutation(len(training))
            chosen = order[position * self.schedule.batch : (position + 1) * self.schedule.batch]
            for name, value in self._learn(training, chosen, self.step / per_epoch).items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            self.seconds = time.monotonic() - started
            bar.update()
            if self.step % per_epoch == 0 or self.step == total:
                self.save()
                if report:
                    epoch_report = {name: value / per_epoch for name, value in sums.items()}
                    report({"epoch": epoch + 1, **epoch_report, **self._validate(validation)})
                sums = {}
        bar.close()
        self.save()
        return self.step >= total

    def _learn(self, training: Samples, chosen: np.ndarray, epoch: float) -> dict[str, float]:
        images, targets = self._on_device(training.batch(chosen, seed=self.step))
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate_at(epoch)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            output = self.network(images)
        total, terms = self.loss(as_float(output), targets)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        self.optimiser.step()
        self._average()
        return {name: float(term.detach()) for name, term in {"loss": total, **terms}.items()}

    def _on_device(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, targets = batch
        return images.to(self.device, memory_format=self.layout), targets.to(self.device)

    @torch.no_grad()
    def _average(self) -> None:
        # A young average follows the weights closely, so that the first epochs are not remembered.
        decay = min(self.schedule.average, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    @torch.no_grad()
    def _validate(self, samples: Samples | None) -> dict[str, float]:
        if samples is None or not len(samples):
            return {}
        sums: dict[str, float] = {}
        for part in np.array_split(np.arange(len(samples)), math.ceil(len(samples) / self.schedule.batch)):
            images, targets = self._on_device(samples.batch(part))
            total, terms = self.loss(as_float(self.averaged(images)), targets)
            for name, value in {"loss": total, **terms}.items():
                sums[f"validation {name}"] = sums.get(f"validation {name}", 0.0) + float(value) * len(part)
        return {name: value / len(samples) for name, value in sums.items()}

    def save(self) -> None:
        """Writes the checkpoint; an interruption leaves the old one whole."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _restore(self, state: Mapping) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])


def as_float(output: Any) -> Any:
    """A network's output, a tensor or a tuple or list of them, in float32."""
    if isinstance(output, Tensor):
        return output.float()
    return type(output)(as_float(part) for part in output)


def write_line(path: Path) -> Callable[[dict], None]:
    """A ``report`` that appends one JSON object a line to ``path`` and prints it."""

    def report(values: dict) -> None:
        line = json.dumps({name: round(v, 5) if isinstance(v, float) else v for name, v in values.items()})
        print(line, flush=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    return report
