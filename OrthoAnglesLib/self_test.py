"""What both modules test of themselves inside Slicer: small, fast and without the network."""

import numpy as np
import slicer


def checkModule(logic, protocolId: str) -> None:
    """Measure landmarks placed by a script (AssertionError)."""
    volume = slicer.util.addVolumeFromArray(np.zeros((1, 1400, 600), dtype=np.uint8), name="Test")
    session = logic.createSession(volume, protocolId)
    {"spine-ap-cobb": _checkSpine, "foot-ap-hallux": _checkFoot}[protocolId](session)
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


def _checkFoot(session) -> None:
    angle = "hallux-valgus-angle"
    assert session.result.by_id(angle).value is None
    session.set_points(_straightFoot())
    assert abs(session.result.by_id(angle).value) < 1e-6
    middle = session.points[session.protocol.index("PP1-3")]
    session.set_point("PP1-3", middle + np.array([9.0, 0.0, 0.0]))
    assert abs(session.result.by_id(angle).value) < 1.0  # one stray handle bends nothing
    for number in range(1, 6):
        place = session.points[session.protocol.index(f"PP1-{number}")]
        session.set_point(f"PP1-{number}", np.array([250.0 + 20.0 * number, place[1], 0.0]))
    assert session.result.by_id(angle).value > 15.0


def _straightFoot() -> np.ndarray:
    """Great toe, first and second metatarsal of a right foot, toes up, all upright."""
    up = np.arange(5.0)
    bones = ((250.0, 300.0, 60.0), (250.0, 900.0, 100.0), (350.0, 900.0, 120.0))
    return np.concatenate([np.column_stack([np.full(5, x), y - step * up, 0 * up]) for x, y, step in bones])
