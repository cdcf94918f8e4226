"""What of a protocol follows the frame of measurement."""

from orthoangles.protocols import MeasurementDefinition, Protocol


def planes_axes(protocol: Protocol) -> frozenset[str]:
    """Ids of the axes on which the planes of projection stand."""
    return frozenset(plane.axis for plane in protocol.planes if plane.axis)


def framed_measurements(protocol: Protocol) -> frozenset[str]:
    """Ids of the measurements of a volume that the ground changes: projected ones, and those of fixed directions."""
    if protocol.dimension == 2:
        return frozenset()
    return frozenset(each.id for each in protocol.measurements if _is_framed(protocol, each))


def _is_framed(protocol: Protocol, definition: MeasurementDefinition) -> bool:
    return definition.plane is not None or any(_is_fixed(protocol, axis_id) for axis_id in definition.axes)


def _is_fixed(protocol: Protocol, axis_id: str) -> bool:
    """Whether the axis, or one that it is made from, is a fixed direction or carries the planes."""
    axis = protocol.axis_by_id[axis_id]
    made_from = (*axis.axes, *((axis.towards,) if axis.towards else ()))
    return (
        axis.kind == "direction"
        or axis_id in planes_axes(protocol)
        or any(_is_fixed(protocol, each) for each in made_from)
    )
