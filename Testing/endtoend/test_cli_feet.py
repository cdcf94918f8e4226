"""``measure --landmarks`` on feet: there is no network for them yet, and landmarks placed by hand do."""

import csv
import json

import numpy as np
import pytest
from PIL import Image as Picture
from support.feet import RIGHT_LPS, hallux_foot, lateral_foot, on_film, ordered, standing_angles, standing_foot

from orthoangles.annotation.markups_json import write_markups
from orthoangles.cli import main
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
