"""What the panel keeps in the scene, so that a saved scene opens as it was left."""

import enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Side(enum.Enum):
    """Side of the body; the value is DICOM's laterality."""

    UNKNOWN = ""
    LEFT = "L"
    RIGHT = "R"

    def label(self) -> str:
        """Text in the combo box."""
        return {"": _("unknown"), "L": _("left"), "R": _("right")}[self.value]


class Device(enum.Enum):
    """Where the network runs; the value is what the backend takes."""

    AUTOMATIC = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        """Text in the combo box."""
        names = {"auto": _("automatic"), "cpu": _("processor (CPU)"), "cuda": _("NVIDIA GPU (CUDA)")}
        return names.get(self.value, _("Apple GPU (MPS)"))


@parameterNodeWrapper
class ModuleParameters:
    """``age`` is in years, 0 where unknown; the folders are paths as text, empty where not chosen."""

    volume: vtkMRMLScalarVolumeNode
    protocolId: str
    side: Side
    age: Annotated[float, WithinRange(0, 120)] = 0.0
    device: Device
    reader: str
    imagesFolder: str
    datasetFolder: str
