"""Image -> prediction, through a MONAI bundle. torch and MONAI are imported when a backend is made."""

import hashlib
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from orthoangles.errors import PredictionCancelled, PredictionError
from orthoangles.images import Image, require_radiograph
from orthoangles.paths import models_dir
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import Protocol, load_protocol

Progress = Callable[[float, str], None]


def available_devices() -> list[str]:
    """Devices a backend can use here, best first: ``cuda:0`` ..., ``mps``, ``cpu``."""
    import torch

    devices = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return [*devices, "cpu"]


def require_network(protocol: Protocol) -> None:
    """:class:`PredictionError` where a protocol has no model bundle."""
    if not protocol.bundle:
        raise PredictionError(f"protocol '{protocol.id}' has no network yet; place its landmarks by hand")


def backend_for(protocol: Protocol, device: str = "auto") -> "Backend":
    """The backend of a protocol's own bundle; :class:`PredictionError` where the protocol has none."""
    require_network(protocol)
    return Backend(protocol.bundle, device)


class Backend:
    """One network, loaded once and kept warm.

    Args:
        bundle: folder of a MONAI bundle, or the name of one that ships in ``models``.
        device: ``auto`` (CUDA, else MPS, else CPU) or a name of :func:`available_devices`.

    Raises :class:`PredictionError` where the bundle is incomplete, its weights are not those of its metadata
    (SHA-256), or the device is not there. One prediction runs at a time; other callers wait.

    >>> backend = Backend("spine_ap_cobb")  # doctest: +SKIP
    >>> backend.predict(read_image("spine.png")).points.shape  # doctest: +SKIP
    (68, 3)
    """

    def __init__(self, bundle: str | Path, device: str = "auto") -> None:
        self.folder = bundle_folder(bundle)
        metadata = bundle_metadata(self.folder)
        self._weights = self.folder / "models" / "model.pt"
        self.model = ModelInfo(metadata["name"], metadata["version"], _checked_digest(self._weights, metadata))
        named = metadata["orthoangles"]["protocol"]
        self.protocol = load_protocol(named) if named else None
        self.device = _device(device)
        self._lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        import torch
        from monai.bundle import ConfigParser

        parser = ConfigParser()
        parser.read_config(str(self.folder / "configs" / "inference.json"))
        parser["bundle_root"] = str(self.folder)
        parser["device"] = self.device
        self.network = parser.get_parsed_content("network_def")
        self._preprocess = parser.get_parsed_content("preprocessing")
        self._infer = parser.get_parsed_content("inferer")
        self._decode = parser.get_parsed_content("postprocessing")
        self._finder_bundle = parser.get("finder", "")
        try:
            state = torch.load(self._weights, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state)
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise PredictionError(
                f"{self._weights.name} of bundle '{self.model.name}' does not fit its network; install the bundle again"
            ) from error
        self.network = self.network.eval().to(self.device, memory_format=torch.channels_last)
        self._steps = sum(1 for module in self.network.modules() if isinstance(module, torch.nn.Conv2d))

    def views(self, image: Image) -> tuple[Image, ...]:
        """An upright image for each subject in ``image``: for a foot's protocol the feet that a finder sees in it.

        Physical points of these images are those of ``image``; where nothing is to be changed, it is ``image`` itself.
        Raises :class:`ImageError` where it shows no foot, or a foot in another view than the protocol's.
        """
        require_radiograph(image)
        if not self._finder_bundle:
            return (image,)
        from orthoangles.foot_views import upright_feet

        return upright_feet(image, self._finder.find(image), self.protocol)

    @cached_property
    def _finder(self):
        from orthoangles.networks.foot_finder import FootFinder

        return FootFinder(self._finder_bundle, str(self.device))

    def predict(
        self,
        image: Image,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Landmarks of ``image``, one of :meth:`views`.

        ``progress(fraction, message)`` is called from this thread; ``cancelled()`` is asked between the layers of the
        network, and when it returns true :class:`PredictionCancelled` is raised.
        """
        import torch

        require_radiograph(image)
        report = _Reporter(progress, cancelled)
        with self._lock, torch.inference_mode():
            started = time.perf_counter()
            report(0.0, "Preparing the image")
            framed = self._preprocess(_plane(image))
            report(0.1, "Looking for landmarks")
            inputs = (framed.as_tensor()[None] - 0.5).to(self.device, memory_format=torch.channels_last)
            with self._watched(report), _precision(self.device):
                output = self._infer(inputs, self.network)
            report(0.95, "Placing the landmarks")
            decoded = self._decode(_of_one_image(output))
            seconds = time.perf_counter() - started
        prediction = self._prediction(image, framed, decoded, seconds)
        report(1.0, "Done")
        return prediction

    @contextmanager
    def _watched(self, report: "_Reporter") -> Iterator[None]:
        """Progress and cancellation at every convolution of the network, from 0.1 to 0.95."""
        import torch

        done = 0

        def step(*_: object) -> None:
            nonlocal done
            report(0.1 + 0.85 * min(1.0, done / self._steps), "Looking for landmarks")
            done += 1

        hooks = [m.register_forward_pre_hook(step) for m in self.network.modules() if isinstance(m, torch.nn.Conv2d)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _prediction(self, image: Image, framed, decoded, seconds: float) -> Prediction:
        from orthoangles.measuring import plausibility

        points = self._physical(image, framed, decoded.points)
        step = float(np.abs(np.linalg.det(np.asarray(framed.affine)[:2, :2])) ** 0.5)
        return Prediction(
            protocol=self.protocol.id,
            landmark_ids=self.protocol.landmark_ids,
            points=points,
            confidence=decoded.confidence,
            spread=decoded.spread * step,
            foreground={axis: self._physical(image, framed, places) for axis, places in decoded.foreground.items()},
            model=self.model,
            warnings=(*decoded.warnings, *plausibility(self.protocol, points, image=image)),
            device=str(self.device),
            seconds=seconds,
        )

    @staticmethod
    def _physical(image: Image, framed, places: np.ndarray) -> np.ndarray:
        """(m, 2) points in frame pixels -> (m, 3) LPS mm."""
        from orthoangles.networks.framing import to_plane

        plane = to_plane(framed, places)
        return image.physical_points(np.column_stack([plane / image.spacing[:2], np.zeros(len(plane))]))


def _of_one_image(output):
    """What a network says of the only image of its batch, on the CPU; it may be a tensor or several."""
    if isinstance(output, (tuple, list)):
        return tuple(_of_one_image(part) for part in output)
    return output[0].float().cpu()


class _Reporter:
    """Calls back with progress, and raises when the caller has cancelled."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None) -> None:
        self._progress, self._cancelled = progress, cancelled

    def __call__(self, fraction: float, message: str) -> None:
        if self._cancelled and self._cancelled():
            raise PredictionCancelled("prediction was cancelled")
        if self._progress:
            self._progress(fraction, message)


def _plane(image: Image):
    from orthoangles.networks.framing import plane_image

    return plane_image(image.array[0], (image.spacing[1], image.spacing[0]))


def bundle_folder(bundle: str | Path) -> Path:
    """Folder of a bundle given as folder or as the name of one in ``models``; PredictionError where there is none."""
    for folder in (Path(bundle), models_dir() / str(bundle)):
        if (folder / "configs" / "metadata.json").is_file():
            return folder
    raise PredictionError(f"there is no model bundle '{Path(bundle).name}': its configs/metadata.json is missing")


def bundle_metadata(bundle: str | Path) -> dict:
    """configs/metadata.json of a bundle; PredictionError where it cannot be read."""
    return _read_json(bundle_folder(bundle) / "configs" / "metadata.json")


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PredictionError(f"{path.name} of bundle '{path.parent.parent.name}' cannot be read: {error}") from error


def _checked_digest(weights: Path, metadata: dict) -> str:
    """SHA-256 of the weights file; an error unless it is the one in the metadata."""
    name = metadata["name"]
    if not weights.is_file():
        raise PredictionError(f"bundle '{name}' has no weights (models/{weights.name}); train it or install it again")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != metadata["orthoangles"]["weights_sha256"]:
        raise PredictionError(
            f"models/{weights.name} of bundle '{name}' is not the file its metadata names (SHA-256 differs); "
            "install the bundle again"
        )
    return digest


def _device(name: str):
    import torch

    devices = available_devices()
    if name == "auto":
        return torch.device(devices[0])
    wanted = f"{name}:0" if name == "cuda" else name
    if wanted not in devices:
        raise PredictionError(f"device '{name}' is not available here; choose one of: auto, {', '.join(devices)}")
    return torch.device(wanted)


def _precision(device):
    """Autocast on CUDA, and on processors whose matrix units make bfloat16 pay; plain float32 elsewhere."""
    import torch

    if device.type == "cuda":
        return torch.autocast("cuda", torch.float16)
    return torch.autocast("cpu", torch.bfloat16, enabled=device.type == "cpu" and fast_bfloat16())


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware (AMX); emulated it is several times slower."""
    import torch

    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("amx_tile"))
