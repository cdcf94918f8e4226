"""Protocols as data: what ships loads, and every fault is told with its file and entry."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from orthoangles.errors import ProtocolError
from orthoangles.paths import protocols_dir
from orthoangles.protocols import Ages, available_protocols, load_protocol

pytestmark = pytest.mark.unit

VERTEBRAE = [f"T{i}" for i in range(1, 13)] + [f"L{i}" for i in range(1, 6)]


@pytest.fixture
def a_spine_file():
    """The shipped spine protocol as parsed JSON, free to be spoilt."""
    return json.loads((protocols_dir() / "spine-ap-cobb.json").read_text(encoding="utf-8"))


@pytest.fixture
def fault_of(tmp_path):
    """Write a protocol and return the message with which it is refused."""

    def refused(data) -> str:
        path = tmp_path / "spoilt.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        with pytest.raises(ProtocolError) as error:
            load_protocol(path)
        assert str(tmp_path) not in str(error.value)
        return str(error.value)

    return refused


def test_all_shipped_protocols_load_under_their_own_name():
    assert "spine-ap-cobb" in available_protocols()
    assert "protocol.schema" not in available_protocols()
    for name in available_protocols():
        assert load_protocol(name).id == name


def test_spine_has_68_corners_in_the_order_of_the_aasce_files():
    protocol = load_protocol("spine-ap-cobb")
    expected = tuple(f"{v}-{corner}" for v in VERTEBRAE for corner in ("TL", "TR", "BL", "BR"))
    assert protocol.landmark_ids == expected
    assert protocol.index("L5-BR") == 67
    assert protocol.bundle == "spine_ap_cobb"
    assert protocol.dimension == 2


def test_spine_measures_cobb_three_ways():
    ids = [m.id for m in load_protocol("spine-ap-cobb").measurements]
    aasce = [f"cobb-aasce-{k}" for k in ("max", "upper", "lower")]
    port = [f"cobb-aasce-python-{k}" for k in ("max", "upper", "lower")]
    assert ids == [*aasce, *port, *(f"cobb-clinical-{k}" for k in ("pt", "mt", "tl", "major"))]


def test_every_landmark_says_where_it_goes():
    protocol = load_protocol("spine-ap-cobb")
    for landmark in protocol.landmarks:
        vertebra, corner = landmark.id.split("-")
        side = "left" if corner[1] == "L" else "right"
        endplate = "superior" if corner[0] == "T" else "inferior"
        assert f"The {side} end, as seen in the image, of the {endplate} endplate of {vertebra}" in landmark.description
        assert landmark.group == vertebra
    assert len({landmark.description for landmark in protocol.landmarks}) == 68


def test_vertebrae_carry_snomed_codes_and_all_differ():
    codes = [group.codes[0] for group in load_protocol("spine-ap-cobb").groups]
    assert {code.scheme for code in codes} == {"SCT"}
    assert len({code.value for code in codes}) == 17
    assert codes[0].value == "64864005"


def test_every_apex_of_the_spine_falls_into_one_region():
    column = load_protocol("spine-ap-cobb").columns[0]
    assert len(column.levels) == 33
    regions = {level: column.region_of(i) for i, level in enumerate(column.levels)}
    expected = {
        "T1/T2": "PT",
        "T5": "PT",
        "T6": "MT",
        "T11/T12": "MT",
        "T12": "TL",
        "L1": "TL",
        "L1/L2": "L",
        "L4": "L",
    }
    assert {level: regions[level].id for level in expected} == expected
    # An apex lies between end vertebrae, so never at T1 or L5.
    assert [level for level, region in regions.items() if region is None] == ["T1", "L5"]


def test_one_shipped_protocol_is_read_once():
    assert load_protocol("spine-ap-cobb") is load_protocol("spine-ap-cobb")


def test_a_file_is_read_by_its_path(tmp_path, a_spine_file):
    a_spine_file["name"] = "Another name"
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(a_spine_file), encoding="utf-8")
    assert load_protocol(path).name == "Another name"
    assert load_protocol(str(path)).name == "Another name"


def test_unknown_id_names_those_there_are():
    with pytest.raises(ProtocolError, match=r"no protocol 'knee'; available: .*spine-ap-cobb"):
        load_protocol("knee")


def test_absent_and_unreadable_files_are_named(tmp_path, fault_of):
    with pytest.raises(ProtocolError, match=r"^absent\.json: there is no such file"):
        load_protocol(tmp_path / "absent.json")
    assert fault_of('{"id": 1,}').startswith("spoilt.json: line 1 column")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProtocolError, match=r"^binary\.json: is not UTF-8"):
        load_protocol(binary)


def test_a_file_that_is_no_object_is_refused(fault_of):
    assert "spoilt.json: " in fault_of("[1, 2]")


def test_unknown_landmark_of_an_axis(fault_of, a_spine_file):
    a_spine_file["axes"][3]["start"] = ["T4-XX", "T4-BL"]
    message = fault_of(a_spine_file)
    assert message.startswith("spoilt.json: axes[3] 'T4-midline': landmark 'T4-XX' is not defined")
    assert "did you mean 'T4-" in message


def test_unknown_landmark_of_a_column(fault_of, a_spine_file):
    a_spine_file["columns"][0]["vertebrae"][2]["corners"][0] = "T3-LT"
    assert "columns[0] 'spine': vertebra 'T3': landmark 'T3-LT' is not defined" in fault_of(a_spine_file)


def test_missing_source(fault_of, a_spine_file):
    del a_spine_file["landmarks"][7]["source"]
    assert fault_of(a_spine_file) == "spoilt.json: landmarks[7] 'T2-BR': 'source' is missing"


def test_undefined_source(fault_of, a_spine_file):
    a_spine_file["measurements"][0]["source"] = "aasce-matlabb"
    message = fault_of(a_spine_file)
    assert "measurements[0] 'cobb-aasce-max': source 'aasce-matlabb' is not defined" in message
    assert "did you mean 'aasce-matlab'?" in message


def test_undefined_source_of_a_grade_and_a_region(fault_of, a_spine_file):
    a_spine_file["measurements"][9]["grades"][0]["source"] = "nobody"
    a_spine_file["columns"][0]["regions"][1]["source"] = "no-one"
    message = fault_of(a_spine_file)
    assert "measurements[9] 'cobb-clinical-major': grades[0]: source 'nobody'" in message
    assert "columns[0] 'spine': regions[1]: source 'no-one'" in message


def test_duplicate_ids(fault_of, a_spine_file):
    a_spine_file["landmarks"][5]["id"] = "T1-TL"
    assert "landmarks[5] 'T1-TL': the id is already that of landmarks[0]" in fault_of(a_spine_file)


def test_a_derived_point_may_not_take_a_landmark_id(fault_of, a_spine_file):
    point = {"id": "T1-TL", "name": "x", "mean_of": ["T1-TR", "T1-BL"], "source": "aasce"}
    a_spine_file["points"] = [point]
    assert "points[0] 'T1-TL': the id is already that of landmarks[0]" in fault_of(a_spine_file)


def test_cycle_among_derived_points(fault_of, a_spine_file):
    def point(name, *parts):
        return {"id": name, "name": name, "mean_of": list(parts), "source": "aasce"}

    a_spine_file["points"] = [point("a", "T1-TL", "b"), point("b", "c", "T1-TR"), point("c", "a", "T1-BL")]
    message = fault_of(a_spine_file)
    assert "points[0] 'a': is made from itself: a -> b -> c -> a" in message
    assert message.count("made from itself") == 1


def test_cycle_among_axes(fault_of, a_spine_file):
    def bisector(name, *axes):
        return {"id": name, "name": name, "kind": "bisector", "axes": list(axes), "source": "aasce"}

    a_spine_file["axes"] += [bisector("p", "T1-midline", "q"), bisector("q", "p", "T2-midline")]
    assert "axes[51] 'p': is made from itself: p -> q -> p" in fault_of(a_spine_file)


def test_unknown_rule(fault_of, a_spine_file):
    a_spine_file["measurements"][1]["rule"] = "cobb-magic"
    message = fault_of(a_spine_file)
    assert "measurements[1] 'cobb-aasce-upper': rule 'cobb-magic' is not known" in message
    assert "rules are angle, offset, cobb-aasce" in message


def test_a_rule_without_what_it_needs(fault_of, a_spine_file):
    del a_spine_file["measurements"][2]["angle"]
    assert "measurements[2] 'cobb-aasce-lower': rule 'cobb-aasce' needs 'angle'" in fault_of(a_spine_file)


def test_regions_that_overlap_or_stand_upside_down_or_nowhere(fault_of, a_spine_file):
    regions = a_spine_file["columns"][0]["regions"]
    regions[1]["from"] = "T5"
    regions[2].update({"from": "L1", "to": "T12"})
    regions[3]["to"] = "S1"
    message = fault_of(a_spine_file)
    assert "regions[1] 'MT': overlaps region 'PT'" in message
    assert "regions[2] 'TL': 'L1' lies below 'T12'" in message
    assert "regions[3] 'L': level 'S1' is no vertebra or disc" in message


def test_unknown_measurement_of_a_finding(fault_of, a_spine_file):
    a_spine_file["findings"][0]["criteria"][0]["any"][0]["measurement"] = "cobb"
    assert "findings[0] 'scoliosis': measurement 'cobb' is not defined" in fault_of(a_spine_file)


def test_unknown_axis_plane_column_region_and_group(fault_of, a_spine_file):
    template = {"name": "x", "unit": "deg", "definition": "x", "source": "aasce", "plane": "image"}
    a_spine_file["measurements"] += [
        {**template, "id": "m1", "rule": "angle", "axes": ["T1-midline", "T1-middle"]},
        {**template, "id": "m2", "rule": "angle", "axes": ["T1-midline", "T2-midline"], "plane": "axial"},
        {**template, "id": "m3", "rule": "cobb-clinical", "column": "neck"},
        {**template, "id": "m4", "rule": "cobb-clinical", "column": "spine", "regions": ["XX"]},
        {**template, "id": "m5", "rule": "angle", "axes": ["T1-midline", "T2-midline"], "plane": None},
    ]
    a_spine_file["landmarks"][0]["group"] = "T0"
    message = fault_of(a_spine_file)
    for part in ("axis 'T1-middle'", "plane 'axial'", "column 'neck'", "region 'XX'", "group 'T0'"):
        assert f"{part} is not defined" in message
    assert "'m5': on a radiograph the plane is 'image'" in message


def test_signs_need_a_plane_and_exclude_folding(fault_of, a_spine_file):
    a_spine_file["dimension"] = 3
    template = {"name": "x", "unit": "deg", "definition": "x", "source": "aasce", "rule": "angle"}
    template["axes"] = ["T1-midline", "T2-midline"]
    a_spine_file["planes"] = [{"id": "axial", "name": "axial", "source": "srs"}]
    a_spine_file["measurements"] = [
        {**template, "id": "m1", "plane": None, "signed": True},
        {**template, "id": "m2", "plane": "axial", "signed": True, "folded": True},
    ]
    a_spine_file["findings"] = []
    message = fault_of(a_spine_file)
    assert "'m1': an angle in space has no sign" in message
    assert "'m2': a folded angle has no sign" in message
    assert "planes[0] 'axial': give its normal" in message


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda d: d.update(version="1"), "version: '1' does not match"),
        (lambda d: d.pop("sources"), "'sources' is missing"),
        (lambda d: d["landmarks"][0].update(colour="red"), "landmarks[0] 'T1-TL': Additional properties"),
        (lambda d: d["axes"][0].update(kind="curve"), "axes[0] 'T1-midline': kind: 'curve' is not one of"),
        (lambda d: d["axes"][0].pop("end"), "axes[0] 'T1-midline': 'end' is missing"),
        (lambda d: d["columns"][0].update(patient_right="left"), "columns[0] 'spine': patient_right"),
        (lambda d: d["columns"][0]["vertebrae"][3].update(corners=["T4-TL"]), "vertebrae[3].corners"),
        (lambda d: d["measurements"][0].update(unit="furlong"), "measurements[0] 'cobb-aasce-max': unit"),
    ],
)
def test_the_schema_refuses_with_the_entry(fault_of, a_spine_file, spoil, expected):
    spoil(a_spine_file)
    message = fault_of(a_spine_file)
    assert message.startswith("spoilt.json: ")
    assert expected in message


def test_all_faults_are_told_at_once(fault_of, a_spine_file):
    for axis in a_spine_file["axes"][:12]:
        axis["start"] = [f"{axis['id']}-nowhere"]
    message = fault_of(a_spine_file)
    assert message.count("is not defined") == 8
    assert message.endswith("; and 4 more")


def test_another_spine_is_another_file_and_no_code(tmp_path, a_spine_file):
    """A lumbar protocol made by leaving out the thorax measures without any change to the code."""
    from orthoangles.measuring import measure

    lumbar = copy.deepcopy(a_spine_file)
    keep = ("L1", "L2", "L3", "L4", "L5")
    lumbar["id"] = "lumbar"
    for table in ("landmarks", "axes", "groups"):
        lumbar[table] = [entry for entry in lumbar[table] if entry["id"].split("-")[0] in keep]
    lumbar["columns"][0]["vertebrae"] = lumbar["columns"][0]["vertebrae"][12:]
    lumbar["columns"][0]["regions"] = lumbar["columns"][0]["regions"][3:]
    lumbar["measurements"] = [m for m in lumbar["measurements"] if m.get("regions") in (None, ["TL", "L"])]
    lumbar["measurements"][6]["regions"] = ["L"]
    path = tmp_path / "lumbar.json"
    path.write_text(json.dumps(lumbar), encoding="utf-8")
    protocol = load_protocol(path)

    tilts = np.radians([-15.0, -8.0, 0.0, 8.0, 15.0])
    centres = np.stack([np.array([0.0, -3.0, -4.0, -3.0, 0.0]) * -4, np.arange(5) * 40.0], 1)
    right = np.stack([np.cos(tilts), np.sin(tilts)], 1) * 20
    down = np.stack([-np.sin(tilts), np.cos(tilts)], 1) * 14
    corners = [centres - right - down, centres + right - down, centres - right + down, centres + right + down]
    points = np.zeros((20, 3))
    points[:, :2] = np.stack(corners, 1).reshape(20, 2)
    major = measure(protocol, points).by_id("cobb-clinical-major")
    assert major.value == pytest.approx(30.0)
    assert major.details["upper_end_vertebra"] == "L1"
    assert major.details["apex"] == "L3"
    assert major.details["region"] == "L"


def test_ages_include_their_lower_bound_only():
    child = Ages(7, 19)
    assert [child.includes(age) for age in (6.9, 7, 18.9, 19)] == [False, True, True, False]
    assert str(child) == "7 to below 19 years"
    assert str(Ages(18)) == "18 years and older"
    assert Ages().everyone


def test_importing_costs_milliseconds_and_pulls_in_nothing_heavy():
    code = (
        "import sys, time; import numpy; t = time.perf_counter(); import orthoangles.measuring; "
        "s = time.perf_counter() - t; heavy = {'scipy', 'jsonschema', 'torch', 'monai', 'vtk', 'slicer', 'SimpleITK'}; "
        "print(s, sorted(heavy & set(sys.modules)))"
    )
    here = Path(__file__).parents[2]
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=here).stdout
    seconds, heavy = output.split(" ", 1)
    assert heavy.strip() == "[]"
    assert float(seconds) < 0.5
