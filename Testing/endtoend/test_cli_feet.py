"""``measure`` on feet: landmarks placed by hand, two feet in one image, and the samples that ship."""

import csv
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image as Picture
from support.feet import RIGHT_LPS, hallux_foot, lateral_foot, on_film, ordered, standing_angles, standing_foot
from support.foot_images import foot_picture
from support.tools import TOOLS, tool

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.cli import main
from orthoangles.images import read_image
from orthoangles.paths import resources_dir
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.endtoend


def measured(folder, image, protocol_id, points, capsys) -> dict:
    """The record that ``measure --json`` prints for one image."""
    landmarks = folder / "placed.mrk.json"
    write_markups(landmarks, load_protocol(protocol_id).landmark_ids, points)
    arguments = ["measure", image, "--protocol", protocol_id, "--landmarks", landmarks, "--output", folder / "out"]
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def values(record) -> dict:
    return {entry["id"]: entry["value"] for entry in record["measurements"]}


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "foot.png"
    Picture.fromarray(np.tile(np.linspace(20, 180, 340).astype(np.uint8), (480, 1))).save(path)
    return path


def test_a_radiograph_of_a_foot_without_age_and_side(film, tmp_path, capsys):
    points = on_film(ordered("foot-ap-hallux", hallux_foot(28.0, 14.0)), mirrored=True)
    record = measured(tmp_path, film, "foot-ap-hallux", points, capsys)
    assert values(record) == pytest.approx({"hallux-valgus-angle": 28.0, "intermetatarsal-angle": 14.0}, abs=1e-3)
    assert {finding["id"] for finding in record["findings"] if finding["present"]} == {
        "hallux-valgus",
        "hallux-valgus-moderate",
    }
    assert (tmp_path / "out" / "foot.overlay.png").stat().st_size > 1000
    assert record["model"] is None


def test_findings_that_depend_on_the_age_stay_open_without_it(film, tmp_path, capsys):
    record = measured(
        tmp_path, film, "foot-lateral", on_film(ordered("foot-lateral", lateral_foot(meary=7.0, pitch=20.0))), capsys
    )
    assert {finding["id"]: finding["present"] for finding in record["findings"]} == {
        "pes-planus": None,
        "pes-cavus": False,
    }


def test_a_volume_of_a_foot(tmp_path, capsys):
    import SimpleITK as sitk

    volume = sitk.GetImageFromArray(np.tile(np.linspace(-1000, 1200, 20).astype(np.int16), (30, 40, 1)))
    volume.SetSpacing((6.0, 6.0, 6.0))
    sitk.WriteImage(volume, str(tmp_path / "wbct.nrrd"))
    points = ordered("foot-wbct", standing_foot()) * RIGHT_LPS
    record = measured(tmp_path, tmp_path / "wbct.nrrd", "foot-wbct", points, capsys)
    assert values(record) == pytest.approx(standing_angles(standing_foot()), abs=1e-3)
    with (tmp_path / "out" / "wbct.measurements.csv").open(encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert (rows["foot-ankle-offset"]["unit"], rows["foot-ankle-offset"]["plane"]) == ("%", "axial")
    assert (rows["hallux-valgus-angle"]["plane"], rows["hallux-valgus-angle-3d"]["plane"]) == ("axial", "")


def test_a_flat_image_is_refused_as_a_volume(film, tmp_path, capsys):
    points = ordered("foot-wbct", standing_foot()) * RIGHT_LPS
    write_markups(tmp_path / "placed.mrk.json", load_protocol("foot-wbct").landmark_ids, points)
    arguments = ["measure", film, "--protocol", "foot-wbct", "--landmarks", tmp_path / "placed.mrk.json"]
    assert main([*map(str, arguments), "--output", str(tmp_path / "out")]) == 1
    assert "foot.png: this is a flat image; a CT volume is needed here" in capsys.readouterr().err


# Two feet


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Two feet in one image, and a network that finds them."""
    picture = foot_picture("foot-ap", (20.0, 35.0), (True, False), turns=2)
    protocol = dataclasses.replace(load_protocol("foot-ap"), bundle="stand-in")
    monkeypatch.setattr("orthoangles.protocols.load_protocol", lambda protocol_id: protocol)
    monkeypatch.setattr("orthoangles.predicting.backend_for", lambda protocol, device: picture.network(protocol))
    return picture.write(tmp_path / "feet.png")


def test_two_feet_are_two_lines_of_json_and_one_image(both, tmp_path, capsys):
    assert main(["measure", str(both), "--protocol", "foot-ap", "--output", str(tmp_path / "out"), "--json"]) == 0
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["image"], r["side"]) for r in (first, second)] == [("feet.png", "right"), ("feet.png", "left")]
    assert values(first)["hallux-valgus-angle"] == pytest.approx(35.0, abs=1e-3)
    assert {path.name for path in (tmp_path / "out").glob("*.overlay.png")} == {
        "feet-left.overlay.png",
        "feet-right.overlay.png",
    }


def test_people_are_told_which_foot_it_is(both, tmp_path, capsys):
    assert main(["measure", str(both), "--protocol", "foot-ap", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "feet.png (foot-ap), right side" in printed
    assert "feet.png (foot-ap), left side" in printed


# The samples

SAMPLES = {
    "foot-ap": ("foot-ap", "png"),
    "foot-ap-hallux": ("foot-ap", "png"),
    "foot-lateral": ("foot-lateral", "png"),
    "foot-wbct": ("foot-wbct", "nrrd"),
}
"""Protocol -> the sample that it reads, and the sample's ending."""


@pytest.mark.parametrize("protocol_id", SAMPLES)
def test_the_truth_of_a_sample_is_what_its_landmarks_measure(protocol_id, tmp_path, capsys):
    sample, ending = SAMPLES[protocol_id]
    stem = f"{sample}-sample"
    truth = f"{stem}.truth{protocol_id.removeprefix(sample)}"
    folder = resources_dir() / "SampleData"
    points = read_markups(folder / f"{truth}.mrk.json").ordered(load_protocol(protocol_id).landmark_ids)
    assert np.isfinite(points).all()
    record = measured(tmp_path, folder / f"{stem}.{ending}", protocol_id, points, capsys)
    noted = json.loads((folder / f"{truth}.json").read_text())
    assert values(record) == pytest.approx(values(noted), abs=1e-6)
    assert None not in values(record).values()
    assert record["side"] == (None if protocol_id == "foot-lateral" else "right")
    assert (folder / f"{stem}.{ending}").stat().st_size < (700_000 if ending == "png" else 4_000_000)


def test_the_samples_are_what_the_simulation_renders_today():
    """Resources/SampleData is made by a command; a change of the simulation must not part the two."""
    foot = tool("make_sample_data").foot()
    for view, made in (("ap", foot.ap), ("lateral", foot.lateral)):
        path = resources_dir() / "SampleData" / f"foot-{view}-sample.png"
        shipped = read_image(path).array[0].astype(int)
        # Another machine's arithmetic may end the search for the pose a little elsewhere.
        assert np.abs(shipped - made.image.astype(int)).mean() < 1
        protocol = load_protocol(f"foot-{view}")
        places = read_markups(path.with_suffix(".truth.mrk.json")).ordered(protocol.landmark_ids)[:, :2]
        assert np.allclose(places, [made.points[name] for name in protocol.landmark_ids], atol=0.2)


def test_the_sample_volume_is_what_the_simulation_scans_today():
    folder = resources_dir() / "SampleData"
    made = tool("make_sample_data").volume()
    shipped = read_image(folder / "foot-wbct-sample.nrrd")
    assert shipped.array.shape == made.array.shape
    assert np.abs(shipped.array.astype(int) - made.array).mean() < 8
    protocol = load_protocol("foot-wbct")
    points = read_markups(folder / "foot-wbct-sample.truth.mrk.json").ordered(protocol.landmark_ids)
    assert np.allclose(points, [made.points[name] for name in protocol.landmark_ids], atol=0.3)
    index = shipped.index_points(points)
    assert ((index > 0) & (index < np.array(shipped.size) - 1)).all()


def test_the_tool_refuses_a_sample_that_it_does_not_know(tmp_path):
    command = [sys.executable, TOOLS / "make_sample_data.py", "knee-ap", "--output", tmp_path / "samples"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no sample 'knee-ap'; choose among spine-ap, foot-ap, foot-lateral, foot-wbct" in done.stderr
    assert list(tmp_path.iterdir()) == []
