"""Runs the network for one image at a time, on the worker thread or at once; an image may show two feet."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from orthoangles.protocols import Protocol, shipped_bundle
from orthoangles.subjects import Subject, find_subjects
from orthoangles.worker import IDLE, PredictionWorker, Report


def shippedBackend(protocol: Protocol, device: str):
    """The backend of the bundle that ships with a protocol."""
    from orthoangles.predicting import backend_for

    return backend_for(protocol, device)


@dataclass(frozen=True)
class Target:
    """What a running prediction is for. Only the id is kept of the volume: it may be deleted meanwhile."""

    volumeId: str
    protocol: Protocol


class PredictionRunner:
    """Keeps one backend warm. ``backendFactory(protocol, device)`` makes it, on the thread that first needs it."""

    def __init__(self, backendFactory: Callable = shippedBackend) -> None:
        self._makeBackend = backendFactory
        self._backendFor: tuple[str, str] | None = None
        self._backend = None
        self._lock = threading.Lock()
        self._worker: PredictionWorker | None = None
        self.target: Target | None = None

    def predict(self, image, protocol: Protocol, device: str, progress=None, cancelled=None) -> tuple[Subject, ...]:
        """Run the network on each upright foot of the image, or on the spine, and wait for it."""
        backend = self._warmBackend(protocol, device)

        def place(view, k: int, count: int):
            return backend.predict(view, progress=_partOf(progress, k, count), cancelled=cancelled)

        return tuple(find_subjects(backend, protocol, image, place))

    def modelDigest(self, protocolId: str) -> str | None:
        """SHA-256 of the weights that predict by this protocol; None where that is not known before they are loaded."""
        bundle = shipped_bundle(protocolId) if self._makeBackend is shippedBackend else ""
        if not bundle:
            return None
        from orthoangles.predicting import bundle_metadata

        return bundle_metadata(bundle)["orthoangles"]["weights_sha256"]

    @property
    def running(self) -> bool:
        """Whether a started prediction has not been polled to its end."""
        return self._worker is not None and self._worker.busy

    def start(self, image, target: Target, device: str) -> None:
        """Run the network on the worker thread; :class:`PredictionError` while another runs."""
        if self._worker is None:
            self._worker = PredictionWorker()

        def work(progress, cancelled) -> tuple[Subject, ...]:
            progress(0.0, "")
            return self.predict(image, target.protocol, device, progress, cancelled)

        self._worker.submit(work)
        self.target = target

    def poll(self, wait: float = 0.0) -> Report:
        """How the started prediction stands; see :meth:`PredictionWorker.poll`."""
        return self._worker.poll(wait) if self._worker is not None else Report(IDLE)

    def cancel(self) -> None:
        """Ask the started prediction to stop."""
        if self._worker is not None:
            self._worker.cancel()

    def close(self) -> None:
        """Stop the thread without waiting for the network to finish, and let the backend go."""
        if self._worker is not None:
            self._worker.close(timeout=0.5)
        self._worker = self._backend = self._backendFor = self.target = None

    def _warmBackend(self, protocol: Protocol, device: str):
        with self._lock:
            if self._backendFor != (protocol.id, device):
                self._backend = self._makeBackend(protocol, device)
                self._backendFor = (protocol.id, device)
            return self._backend


def _partOf(progress: Callable | None, k: int, count: int) -> Callable | None:
    """Progress of the k-th of ``count`` runs as that of the whole."""
    if progress is None or count == 1:
        return progress
    from slicer.i18n import tr as _

    def report(fraction: float, message: str) -> None:
        text = _("Foot {number} of {count}: {message}").format(number=k + 1, count=count, message=message)
        progress((k + fraction) / count, text)

    return report
