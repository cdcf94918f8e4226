"""What both modules test of themselves inside Slicer: small, fast and without the network."""

import numpy as np
import slicer


def checkModule(logic, protocolId: str) -> None:
    """Measure landmarks placed by a script, or, where the protocol is still to come, get told so (AssertionError)."""
    from orthoangles.protocols import available_protocols

    volume = slicer.util.addVolumeFromArray(np.zeros((1, 1400, 600), dtype=np.uint8), name="Test")
    if protocolId in available_protocols():
        _checkSpine(logic.createSession(volume, protocolId))
    else:
        _checkRefused(logic, volume, protocolId)
    logic.close()


def _checkSpine(session) -> None:
    largest = "cobb-aasce-max"
    assert session.result.by_id(largest).value is None
    session.set_points(_straightSpine())
    assert abs(session.result.by_id(largest).value) < 1e-6
    corner = session.points[session.protocol.index("T6-TL")]
    session.set_point("T6-TL", corner + np.array([0.0, 30.0, 0.0]))
    assert session.result.by_id(largest).value > 5.0


def _straightSpine() -> np.ndarray:
    columns = np.tile([250.0, 350.0], 2 * 17)
    rows = 40.0 + 75.0 * np.repeat(np.arange(17), 4) + np.tile([0.0, 0.0, 60.0, 60.0], 17)
    return np.column_stack([columns, rows, np.zeros(68)])


def _checkRefused(logic, volume, protocolId: str) -> None:
    from orthoangles.errors import ProtocolError

    try:
        logic.createSession(volume, protocolId)
    except ProtocolError:
        return
    raise AssertionError(f"{protocolId} is said to be missing, yet it was measured")
