"""Image -> prediction, through a MONAI bundle. torch and MONAI are imported when a backend is made."""

import pickle
import threading
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from orthoangles.bundle_weights import read_metadata, weights_of
from orthoangles.errors import PredictionError
from orthoangles.images import Image, require_radiograph, require_volume
from orthoangles.paths import models_dir
from orthoangles.predicting_progress import Cancelled, Progress, Reporter, before_each_convolution
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import Protocol, load_protocol


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
        self._weights, digest = weights_of(self.folder, metadata)
        self.model = ModelInfo(metadata["name"], metadata["version"], digest)
        named = metadata["orthoangles"]["protocol"]
        self.protocol = load_protocol(named) if named else None
        self._in_space = self.protocol is not None and self.protocol.dimension == 3
        self.device = _device(device)
        self._lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        import torch
        from monai.bundle import ConfigParser

        from orthoangles.networks.memory_layout import memory_layout

        parser = ConfigParser()
        parser.read_config(str(self.folder / "configs" / "inference.json"))
        parser["bundle_root"] = str(self.folder)
        parser["device"] = self.device
        self.network = parser.get_parsed_content("network_def")
        # Bundles for volumes have neither: their postprocessing runs the networks where it needs them.
        self._preprocess = parser.get_parsed_content("preprocessing", default=None)
        self._infer = parser.get_parsed_content("inferer", default=None)
        self._decode = parser.get_parsed_content("postprocessing")
        self._finder_bundle = parser.get("finder", "")
        try:
            state = torch.load(self._weights, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state)
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise PredictionError(
                f"{self._weights.name} of bundle '{self.model.name}' does not fit its network; install the bundle again"
            ) from error
        self.network = self.network.eval().to(self.device, memory_format=memory_layout(self.network))

    def views(self, image: Image) -> tuple[Image, ...]:
        """An upright image for each subject in ``image``: for a foot's protocol the feet that a finder sees in it.

        Physical points of these images are those of ``image``; where nothing is to be changed, it is ``image`` itself.
        Of a volume with two feet they are its parts. Raises :class:`ImageError` where it shows no foot, or a foot in
        another view than the protocol's.
        """
        if self._in_space:
            from orthoangles.foot_volumes import find_feet, foot_images

            return foot_images(image, find_feet(image))
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
        self, image: Image, *, progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> Prediction:
        """Landmarks of ``image``, one of :meth:`views`.

        ``progress(fraction, message)`` is called from this thread; ``cancelled()`` is asked between the layers of the
        network, and when it returns true :class:`PredictionCancelled` is raised.
        """
        import torch

        (require_volume if self._in_space else require_radiograph)(image)
        report = Reporter(progress, cancelled)
        with self._lock, torch.inference_mode():
            started = time.perf_counter()
            read = self._read_volume if self._in_space else self._read_radiograph
            prediction = read(image, report)
            prediction = replace(prediction, seconds=time.perf_counter() - started)
        report(1.0, "Done")
        return prediction

    def _read_radiograph(self, image: Image, report: Reporter) -> Prediction:
        import torch

        report(0.0, "Preparing the image")
        framed = self._preprocess(_plane(image))
        report(0.1, "Looking for landmarks")
        inputs = (framed.as_tensor()[None] - 0.5).to(self.device, memory_format=torch.channels_last)
        done = 0

        def step() -> None:
            nonlocal done
            report(0.1 + 0.85 * min(1.0, done / steps), "Looking for landmarks")
            done += 1

        with before_each_convolution(self.network, step) as steps, _precision(self.device):
            output = self._infer(inputs, self.network)
        report(0.95, "Placing the landmarks")
        return self._prediction(image, framed, self._decode(_of_one_image(output)))

    def _read_volume(self, image: Image, report: Reporter) -> Prediction:
        from orthoangles.measuring import plausibility
        from orthoangles.predicting_volumes import read_foot

        with _precision(self.device):
            reading = read_foot(image, self._decode, self.network, self.device, report)
        return Prediction(
            protocol=self.protocol.id,
            landmark_ids=self.protocol.landmark_ids,
            points=reading.points,
            confidence=reading.confidence,
            spread=reading.spread,
            model=self.model,
            warnings=(*reading.warnings, *plausibility(self.protocol, reading.points, image=image)),
            device=str(self.device),
            side=reading.side,
        )

    def _prediction(self, image: Image, framed, decoded) -> Prediction:
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
    return read_metadata(bundle_folder(bundle))


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
