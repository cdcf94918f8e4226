"""Python packages that Slicer does not bring: asked for when first needed, never at start."""

import importlib.util

from orthoangles.errors import OrthoAnglesError
from orthoangles.paths import resources_dir

REQUESTER = "OrthoAngles"
TORCH_VERSION = ">=2.4"


class DependencyError(OrthoAnglesError):
    """A package is missing and was not installed; the message says how to get it."""


def ensureMeasuring() -> None:
    """What protocols and measurements need; asks the user before anything is installed."""
    _ensure("requirements.txt")


def ensurePredicting() -> None:
    """What the network needs. PyTorch comes first and by its own extension, which picks the build for the GPU.

    Raises:
        DependencyError: PyTorch is missing and its extension is not there, or the user declined.
    """
    ensureMeasuring()
    _ensureTorch()
    _ensure("requirements-network.txt")


def networkInstalled() -> bool:
    """Whether the network can run without anything being installed: work in the background asks nobody."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "monai"))


def _ensure(fileName: str) -> None:
    import slicer.packaging

    requirements = slicer.packaging.load_requirements(resources_dir() / fileName)
    slicer.packaging.pip_ensure(requirements, requester=REQUESTER)


def _ensureTorch() -> None:
    from slicer.i18n import tr as _

    if importlib.util.find_spec("torch") is not None:
        return
    try:
        import PyTorchUtils
    except ImportError as error:
        raise DependencyError(
            _(
                "The network needs PyTorch. Install the extension 'PyTorch' in the Extensions Manager, restart Slicer "
                "and try again; or place the landmarks by hand."
            )
        ) from error
    installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=True, torchVersionRequirement=TORCH_VERSION
    )
    if installed is None:
        raise DependencyError(_("PyTorch was not installed; without it place the landmarks by hand."))
