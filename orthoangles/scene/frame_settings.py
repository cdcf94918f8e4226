"""From which ground and axis a foot in a volume is measured, kept in the session's parameter node."""

import json
from dataclasses import asdict, dataclass

SCANNER, LANDMARKS, PLANE, LINE = "scanner", "landmarks", "plane", "line"
GROUNDS = (SCANNER, LANDMARKS, PLANE)
AXES = (LANDMARKS, LINE)
_PARAMETER = "frame"


@dataclass(frozen=True)
class FrameSettings:
    """How the reader wants to measure.

    ``ground``: ``scanner`` (level, as the scanner's vertical has it), ``landmarks`` (through heel and metatarsal heads)
    or ``plane`` (a plane node that the reader turns). ``axis``: ``landmarks`` (as the protocol defines the foot's axis)
    or ``line`` (a line node that the reader places). ``shown``: whether the views show ground and axis.

    Raises ValueError for a ground or axis of another name.
    """

    ground: str = SCANNER
    axis: str = LANDMARKS
    shown: bool = True

    def __post_init__(self) -> None:
        if self.ground not in GROUNDS:
            raise ValueError(f"ground is '{self.ground}', expected one of {', '.join(GROUNDS)}")
        if self.axis not in AXES:
            raise ValueError(f"axis is '{self.axis}', expected one of {', '.join(AXES)}")

    @classmethod
    def read(cls, parameter_node) -> "FrameSettings":
        """As stored; the scanner's vertical and the landmarks' axis where nothing is."""
        text = parameter_node.GetParameter(_PARAMETER)
        return cls(**json.loads(text)) if text else cls()

    def write(self, parameter_node) -> None:
        """Store."""
        parameter_node.SetParameter(_PARAMETER, json.dumps(asdict(self)))
