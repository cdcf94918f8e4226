"""Many seeds worked through by several processes: in order, one thread each, and no seed stops the others.

Workers are spawned, not forked, so that this runs on every system and beside torch. They hang on a leash, a pipe whose
other end only the parent holds: when the parent ends, is killed or lets go, each worker ends at once.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import extract_tb
from typing import Any, NamedTuple

from orthoangles.errors import OrthoAnglesError, SimulationError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


class Outcome(NamedTuple):
    """What came of one seed: ``result`` as the work returned it, or why it failed (``error``)."""

    seed: int
    result: Any = None
    error: str = ""


def outcomes(work: Callable[[int], Any], seeds: Sequence[int], workers: int = 1) -> Iterator[Outcome]:
    """``work(seed)`` of every seed, in the order of ``seeds`` whatever the number of ``workers``.

    With one worker it runs in this process; else ``work`` and what it returns must be picklable. An exception, or the
    death of a worker, is the outcome of that seed alone. At most two results a worker are waiting at a time. Raises
    SimulationError where no worker can be started.
    """
    if workers <= 1:
        yield from (_attempt(work, seed) for seed in seeds)
        return
    with _Pool(min(workers, max(len(seeds), 1))) as pool:
        yield from _in_order(pool, work, seeds, 2 * workers)


def _in_order(pool: "_Pool", work: Callable[[int], Any], seeds: Sequence[int], window: int) -> Iterator[Outcome]:
    waiting, running = deque(seeds), deque()
    alone = 0
    while waiting or running:
        while waiting and len(running) < (1 if alone else window):
            try:
                running.append((waiting[0], pool.submit(_attempt, work, waiting[0])))
                waiting.popleft()
            except BrokenProcessPool:
                if running:
                    break  # one of these knows
                pool.restart()
        seed, future = running.popleft()
        try:
            outcome = future.result()
        except BrokenProcessPool:
            pool.restart()
            if not alone:
                # One of these killed its worker. Each is tried again alone, which tells which one.
                waiting.extendleft(reversed([seed, *(later for later, _ in running)]))
                alone, running = len(running) + 1, deque()
                continue
            outcome = Outcome(seed, error="the worker process died, perhaps for want of memory; try fewer workers")
        alone = max(alone - 1, 0)
        yield outcome


def _attempt(work: Callable[[int], Any], seed: int) -> Outcome:
    try:
        return Outcome(seed, work(seed))
    except OrthoAnglesError as error:
        return Outcome(seed, error=str(error))
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        return Outcome(seed, error=f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})")


class _Pool:
    """Spawned workers that end with this process; ``with`` lets them finish, an exception ends them at once."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        reader, self._leash = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(self._workers, context, _begin_worker, (reader,))
        self._reader = reader

    def __enter__(self) -> "_Pool":
        try:
            self.submit(os.getpid).result()
        except BrokenProcessPool:
            self._stop()
            raise SimulationError(
                "no worker process could be started; simulate with one worker, or call from a script that guards its "
                "start with if __name__ == '__main__'."
            ) from None
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self._executor.shutdown()
        self._stop()

    def submit(self, function: Callable, *arguments):
        with _single_threaded_and_deaf():
            return self._executor.submit(function, *arguments)

    def restart(self) -> None:
        self._stop()
        self._start()

    def _stop(self) -> None:
        self._leash.close()
        self._executor.shutdown(cancel_futures=True)
        self._reader.close()


@contextmanager
def _single_threaded_and_deaf():
    """What is spawned here computes on one thread each, and leaves Ctrl+C to this process."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    mask = getattr(signal, "pthread_sigmask", None)
    old = mask(signal.SIG_BLOCK, [signal.SIGINT]) if mask else ()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        if mask:
            mask(signal.SIG_SETMASK, old)


def _begin_worker(leash: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(leash,), daemon=True).start()


def _end_with(leash: Connection) -> None:
    """Wait until the other end is closed. The process may be amid a C function, so it ends without ceremony."""
    try:
        leash.poll(None)
    finally:
        os._exit(1)
