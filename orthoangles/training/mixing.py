"""Corrected and old cases in one stream of batches, and a look-out that is asked before each step."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from orthoangles.training.samples import Samples

CORRECTED_SHARE = 0.5
"""Share of what is drawn that is corrected, unless more of all cases are."""


def corrected_share(corrected: int, old: int) -> float:
    """Share of the drawn cases that are corrected ones; 1 without old cases."""
    return max(CORRECTED_SHARE, corrected / (corrected + old))


class MixedSamples:
    """``size`` draws an epoch, a fixed share of them of ``corrected``, the rest of ``old``.

    Each part is gone through in turn, from epoch to epoch: what is drawn depends on the step alone, so that a training
    that goes on from a checkpoint draws what it would have drawn. ``before_step(step)`` is called before each step of
    training, and may raise.
    """

    def __init__(
        self, corrected: Samples, old: Samples | None, size: int, batch: int, before_step: Callable[[int], None]
    ) -> None:
        self.corrected, self.old, self.before_step = corrected, old, before_step
        self._size, self._steps = size, max(1, size // batch)
        self.share = corrected_share(len(corrected), len(old) if old else 0)
        self._slots = max(1, round(self.share * size)) if old else size

    def __len__(self) -> int:
        return self._size

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """As :class:`~orthoangles.training.samples.Samples` says; ``seed`` is the number of the step."""
        if seed is not None:
            self.before_step(seed)
        epoch, places = (0 if seed is None else seed // self._steps), np.asarray(indices)
        mine = places < self._slots
        drawn = []
        if mine.any():
            drawn.append(_drawn(self.corrected, epoch * self._slots + places[mine], seed, 0))
        if not mine.all():
            beyond = self._size - self._slots
            drawn.append(_drawn(self.old, epoch * beyond + places[~mine] - self._slots, seed, 1))
        images, targets = zip(*drawn, strict=True)
        return torch.cat(images), torch.cat(targets)


def _drawn(samples: Samples, turns: np.ndarray, seed: int | None, part: int) -> tuple[Tensor, Tensor]:
    order = np.random.default_rng(part).permutation(len(samples))
    return samples.batch(order[turns % len(samples)], None if seed is None else 2 * seed + part)
