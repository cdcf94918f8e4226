"""What a session draws, kept in its parameter node."""

import json
from dataclasses import asdict, dataclass

from orthoangles.protocols import Protocol

_PARAMETER = "drawing"


@dataclass(frozen=True)
class DrawingSettings:
    """What is drawn.

    ``measurements``: ids drawn with lines, arc and number; ``levels``: names beside the bones; ``midline``. In a
    volume: ``axes`` of the bones; ``chosen``, the id of one measurement that is drawn with its plane, empty for none.
    """

    measurements: tuple[str, ...]
    levels: bool = True
    midline: bool = True
    axes: bool = True
    chosen: str = ""

    @classmethod
    def of(cls, protocol: Protocol) -> "DrawingSettings":
        """What the protocol wants drawn; in a volume one angle at a time, and the landmarks bear their own names."""
        if protocol.dimension == 3:
            return cls((), levels=False, midline=False)
        return cls(tuple(definition.id for definition in protocol.measurements if definition.drawn))

    @classmethod
    def read(cls, parameter_node, protocol: Protocol) -> "DrawingSettings":
        """As stored; measurements that the protocol no longer has are left out."""
        text = parameter_node.GetParameter(_PARAMETER)
        if not text:
            return cls.of(protocol)
        stored = json.loads(text)
        known = {definition.id for definition in protocol.measurements}
        wanted = tuple(each for each in stored["measurements"] if each in known)
        chosen = stored.get("chosen", "")
        return cls(
            wanted,
            bool(stored["levels"]),
            bool(stored["midline"]),
            bool(stored.get("axes", True)),  # scenes of earlier versions say nothing about volumes
            chosen if chosen in known else "",
        )

    def write(self, parameter_node) -> None:
        """Store."""
        parameter_node.SetParameter(_PARAMETER, json.dumps(asdict(self)))
