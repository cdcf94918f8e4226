"""How far a long job is: stages with their shares of the whole, seconds left, and a stop at a safe moment."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class StageReport:
    """``fraction`` 0 to 1 of the whole job; ``seconds_left`` of it, None where not known."""

    stage: str
    fraction: float
    message: str
    seconds_left: float | None

    def as_json(self) -> dict:
        """For one line of JSON."""
        return asdict(self)


class Stages:
    """Reports progress of a job whose stages take ``shares`` of it, in their order; at most ``rate`` reports a second.

    The time left of a stage is told from its own speed; of later stages by their shares.
    """

    def __init__(self, shares: Mapping[str, float], report: Callable[[StageReport], None], rate: float = 2.0) -> None:
        self._report, self._pause = report, 1 / rate
        self._shares = {name: share / sum(shares.values()) for name, share in shares.items()}
        self._stage, self._began, self._at_start, self._last = "", 0.0, 0.0, -1e9

    def __call__(self, stage: str, fraction: float, message: str, seconds_left: float | None = None) -> None:
        """``fraction`` of ``stage`` is done. ``seconds_left`` of this stage, where the caller knows better."""
        now = time.monotonic()
        fresh = stage != self._stage
        if fresh:
            self._stage, self._began, self._at_start = stage, now, fraction
        if not fresh and now - self._last < self._pause and fraction < 1:
            return
        self._last = now
        before = 0.0
        for name, share in self._shares.items():
            if name == stage:
                break
            before += share
        share = self._shares[stage]
        if seconds_left is None and fraction - self._at_start > 0:
            seconds_left = (now - self._began) * (1 - fraction) / (fraction - self._at_start)
        if seconds_left is not None and fraction < 1:
            later = (1 - before - share) / (share * (1 - fraction)) * seconds_left
            seconds_left = round(seconds_left + later, 1)
        else:
            seconds_left = None
        self._report(StageReport(stage, round(before + share * fraction, 4), message, seconds_left))


class Stop:
    """SIGINT, SIGTERM and Windows' Ctrl+Break as KeyboardInterrupt; in a block of :meth:`held` by :meth:`check` only.

    Does nothing outside the main thread, where signals cannot be caught.
    """

    _NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")

    def __init__(self) -> None:
        self._held, self.wanted = False, False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        for number in (getattr(signal, name) for name in self._NAMES if hasattr(signal, name)):
            try:
                self._before[number] = signal.signal(number, self._caught)
            except ValueError:
                break
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _caught(self, *_) -> None:
        self.wanted = True
        if not self._held:
            raise KeyboardInterrupt

    def check(self) -> None:
        """KeyboardInterrupt where a stop was asked for."""
        if self.wanted:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """A stop asked for in the block waits for :meth:`check`, or for its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()
