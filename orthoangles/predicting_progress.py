"""How a prediction gets on: progress to the caller, and a cancel that reaches into a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orthoangles.errors import PredictionCancelled

Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]


class Reporter:
    """Calls back with progress, and raises :class:`PredictionCancelled` when the caller has cancelled."""

    def __init__(self, progress: Progress | None, cancelled: Cancelled | None) -> None:
        self._progress, self._cancelled = progress, cancelled

    def __call__(self, fraction: float, message: str) -> None:
        """``fraction`` of the whole, 0 to 1, is done; ``message`` says what is being done."""
        self.check()
        if self._progress:
            self._progress(fraction, message)

    def check(self) -> None:
        """Raise where the caller has cancelled."""
        if self._cancelled and self._cancelled():
            raise PredictionCancelled("prediction was cancelled")

    def part(self, start: float, end: float) -> Progress:
        """Progress of a stage, told as that of the whole between ``start`` and ``end``."""
        return lambda fraction, message: self(start + (end - start) * min(max(fraction, 0.0), 1.0), message)


@contextmanager
def before_each_convolution(network, call: Callable[[], None]) -> Iterator[int]:
    """``call()`` before each convolution of a torch module that runs meanwhile; gives how many convolutions it has."""
    import torch

    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Conv3d)]
    hooks = [module.register_forward_pre_hook(lambda *_: call()) for module in convolutions]
    try:
        yield len(convolutions)
    finally:
        for hook in hooks:
            hook.remove()
