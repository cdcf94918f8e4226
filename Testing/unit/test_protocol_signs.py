"""What feet need of the protocol language: signs from landmarks, angles with planes, offsets, nested conditions."""

import json

import numpy as np
import pytest
from support.feet import RIGHT_LPS, lateral_foot, on_film, ordered, standing_foot

from orthoangles.errors import ProtocolError
from orthoangles.measuring import measure
from orthoangles.paths import protocols_dir
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit


@pytest.fixture
def changed(tmp_path):
    """Read a shipped foot protocol after ``change(data)`` has been made to it."""

    def load(protocol_id, change):
        data = json.loads((protocols_dir() / f"{protocol_id}.json").read_text(encoding="utf-8"))
        change(data)
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        return load_protocol(path)

    return load


@pytest.fixture
def fault_of(changed):
    """The message with which a changed protocol is refused."""

    def refused(protocol_id, change) -> str:
        with pytest.raises(ProtocolError) as error:
            changed(protocol_id, change)
        return str(error.value)

    return refused


def entry(data, table, entry_id) -> dict:
    return next(each for each in data[table] if each["id"] == entry_id)


def measurement(data, entry_id) -> dict:
    return entry(data, "measurements", entry_id)


def standing_points() -> np.ndarray:
    return ordered("foot-wbct", standing_foot()) * RIGHT_LPS


def test_sense_names_known_axes_and_replaces_the_other_signs(fault_of):
    hva = "measurements[0] 'hallux-valgus-angle'"
    message = fault_of("foot-ap", lambda d: measurement(d, "hallux-valgus-angle").update(sense=["mt1-axis", "outward"]))
    assert f"{hva}: axis 'outward' is not defined" in message
    message = fault_of("foot-ap", lambda d: measurement(d, "hallux-valgus-angle").update(mirrored=True))
    assert f"{hva}: landmarks tell the sign by 'sense'; leave out 'mirrored'" in message
    message = fault_of("foot-ap", lambda d: measurement(d, "hallux-valgus-angle").pop("signed"))
    assert f"{hva}: 'sense' says which turn is positive, so the angle must be 'signed'" in message


def test_an_angle_with_a_plane_is_neither_signed_nor_folded(fault_of):
    for key in ("signed", "folded"):
        message = fault_of("foot-wbct", lambda d, key=key: measurement(d, "calcaneal-pitch").update({key: True}))
        assert f"'calcaneal-pitch': an angle with a plane ('complement') has its own sign; leave out '{key}'" in message


def test_an_axis_may_not_run_towards_itself(fault_of):
    def change(data):
        entry(data, "axes", "ground-image")["towards"] = "halved"
        both = ["ground-image", "mt1-axis"]
        data["axes"].append({"id": "halved", "name": "x", "kind": "bisector", "axes": both, "source": "hih-foot"})

    assert "is made from itself: ground-image -> halved -> ground-image" in fault_of("foot-lateral", change)
    unknown = fault_of("foot-lateral", lambda d: entry(d, "axes", "ground-image").update(towards="calcaneal-axes"))
    assert "axis 'calcaneal-axes' is not defined (did you mean 'calcaneal-axis'?)" in unknown


def test_a_horizontal_that_neither_way_runs_with_the_foot_has_no_direction():
    points = on_film(ordered("foot-lateral", lateral_foot(meary=0.0, pitch=90.0)))
    points[-2, 0] = points[-1, 0]
    reason = measure(load_protocol("foot-lateral"), points).by_id("calcaneal-pitch").reason
    assert reason == "horizontal of the image stands perpendicular to plantar border of the calcaneus"


def test_an_offset_needs_a_known_point_a_line_and_percent(fault_of):
    place = "'foot-ankle-offset'"

    def message(**fields):
        return fault_of("foot-wbct", lambda d: measurement(d, "foot-ankle-offset").update(fields))

    assert f"{place}: landmark 'TA9' is not defined" in message(point="TA9")
    assert f"{place}: axis of kind 'line' 'up' is not defined" in message(axes=["up", "talar-medial"])
    assert f"{place}: an offset in space has no side; name a plane" in message(plane=None)
    assert f"{place}: rule 'offset' gives '%', not 'deg'" in message(unit="deg")
    assert "rule 'angle' gives 'deg', not '%'" in fault_of(
        "foot-wbct", lambda d: measurement(d, "meary-angle").update(unit="%")
    )
    assert f"{place}: rule 'offset' needs 'point'" in fault_of(
        "foot-wbct", lambda d: measurement(d, "foot-ankle-offset").pop("point")
    )


def test_an_offset_without_a_side(changed):
    def along_itself(data):
        entry(data, "axes", "talar-medial").update(start=["C1"], end=["M15"])

    found = measure(changed("foot-wbct", along_itself), standing_points()).by_id("foot-ankle-offset")
    assert found.value is None
    assert found.reason.endswith("no side is positive")


def test_the_pitch_is_drawn_between_the_heel_bone_and_its_foot_on_the_ground():
    points = standing_points()
    pitch = measure(load_protocol("foot-wbct"), points).by_id("calcaneal-pitch-3d")
    ground, calcaneus = pitch.axes
    np.testing.assert_allclose(ground.start, calcaneus.start)
    np.testing.assert_allclose(ground.end, [*calcaneus.end[:2], calcaneus.start[2]])
    u, v = ground.end - ground.start, calcaneus.end - calcaneus.start
    angle = np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    assert angle == pytest.approx(pitch.value)


def test_a_volume_that_does_not_show_the_second_metatarsal_still_has_angles_in_space():
    protocol = load_protocol("foot-wbct")
    points = standing_points()
    points[protocol.index("M2b")] = np.nan
    result = measure(protocol, points)
    assert result.by_id("boehler-angle").reason == "M2b not placed"
    assert result.by_id("boehler-angle-3d").value is not None
    assert result.by_id("talonavicular-coverage").value is not None  # the axial plane needs no axis of the foot


def test_conditions_may_be_joined_within_conditions(fault_of):
    moderate = load_protocol("foot-ap-hallux").findings[2]
    points = np.full((15, 3), np.nan)
    rule = measure(load_protocol("foot-ap-hallux"), points).by_id(moderate.id).rule
    assert rule == (
        "hallux-valgus-angle >= 15 and hallux-valgus-angle < 40 and intermetatarsal-angle < 18 "
        "and (hallux-valgus-angle > 20 or intermetatarsal-angle > 11)"
    )

    def inner(data):
        return data["findings"][2]["criteria"][0]["all"][3]

    message = fault_of("foot-ap-hallux", lambda d: inner(d)["any"][1].update(measurement="ima"))
    assert "findings[2] 'hallux-valgus-moderate': measurement 'ima' is not defined" in message
    message = fault_of("foot-ap-hallux", lambda d: inner(d).update(all=inner(d)["any"]))
    assert "findings[2] 'hallux-valgus-moderate': criteria[0].all[3]" in message
    message = fault_of("foot-ap-hallux", lambda d: inner(d)["any"][0].pop("is"))
    assert "criteria[0].all[3].any[0]: 'is' is missing" in message


def test_the_frame_names_what_there_is_and_belongs_to_volumes(fault_of, changed):
    assert "frame: landmark 'C9' is not defined" in fault_of(
        "foot-wbct", lambda d: d["frame"].update(ground=["C9", "M1b", "M5"])
    )
    assert "frame: axis 'outward' is not defined" in fault_of(
        "foot-wbct", lambda d: d["frame"].update(lateral=["outward"])
    )
    assert "frame: axis 'onward' is not defined" in fault_of(
        "foot-wbct", lambda d: d["frame"].update(distal=["onward"])
    )
    assert "frame: source 'nobody' is not defined" in fault_of(
        "foot-wbct", lambda d: d["frame"].update(source="nobody")
    )
    message = fault_of("foot-wbct", lambda d: d["frame"].update(ground=["C1", "M5"]))
    assert message.startswith("changed.json: frame: ")
    wbct = json.loads((protocols_dir() / "foot-wbct.json").read_text(encoding="utf-8"))["frame"]
    frame = {
        **wbct,
        "ground": ["A1", "A2", "A3"],
        "lateral": ["mt1-axis"],
        "distal": ["mt1-axis"],
        "source": "hih-foot",
    }
    message = fault_of("foot-ap", lambda d: d.update(frame=frame))
    assert "a radiograph is measured in its own plane; leave out 'frame'" in message
    assert changed("foot-wbct", lambda d: d["frame"].pop("heights")).frame.heights == (0.0, 0.0, 0.0)
    assert changed("foot-wbct", lambda d: d.pop("frame")).frame is None
