"""Volumes in one go: DICOM series, NRRD and NIfTI, two feet, an ankle, and what is no foot between them."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from support.blob_feet import Scan, left_foot, right_foot, write_bundle
from support.image_files import write_ct

from orthoangles.annotation.markups_json import read_markups
from orthoangles.batch import measure_files
from orthoangles.images import Image
from orthoangles.measuring import measure
from orthoangles.predicting import Backend
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

PROTOCOL = load_protocol("foot-wbct")
QUIET = Scan(noise=4.0)


@pytest.fixture(scope="module")
def a_backend(tmp_path_factory):
    return Backend(write_bundle(tmp_path_factory.mktemp("bundle") / "blobs"), "cpu")


def write(image: Image, path):
    """``image`` as NRRD or NIfTI."""
    stored = sitk.GetImageFromArray(image.array)
    stored.SetSpacing(image.spacing.tolist())
    stored.SetOrigin(image.origin.tolist())
    stored.SetDirection(image.direction.ravel().tolist())
    sitk.WriteImage(stored, str(path), useCompression=True)
    return path


def series(image: Image, folder) -> tuple:
    """``image`` as a DICOM series, and what its points move by: its first voxel stands elsewhere."""
    write_ct(folder, image.array, step=2.0, PixelSpacing=[2, 2], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    return folder, np.array([-10.0, -20.0, 5.0]) - image.origin


def measured(paths, output, backend):
    return list(measure_files(paths, PROTOCOL, output, backend=backend))


def check(result, points, side: str) -> None:
    """The record and the files of one foot."""
    assert result.error is None
    record = result.record
    assert record["side"] == side
    assert record["model"]["name"] == "blobs"
    assert [path.name.partition(".")[2] for path in result.files] == [
        "mrk.json",
        "measurements.json",
        "measurements.csv",
        "overlay.png",
    ]
    assert all(path.stat().st_size > 500 for path in result.files)
    written = read_markups(result.files[0]).ordered(PROTOCOL.landmark_ids)
    assert np.nanmax(np.linalg.norm(written - points, axis=1)) < 1.2
    assert (np.isnan(written) == np.isnan(points)).all()
    assert json.loads(result.files[1].read_text()) == record
    true = measure(PROTOCOL, points, laterality=side)
    for entry in record["measurements"]:
        value = true.by_id(entry["id"]).value
        assert (entry["value"] is None) == (value is None)
        assert bool(entry["reason"]) == (value is None)
        if value is not None:
            assert entry["value"] == pytest.approx(value, abs=6)
    with result.files[2].open(encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == len(PROTOCOL.measurements)


def test_series_nrrd_and_nifti_give_what_radiographs_give_and_a_bad_volume_stops_none(tmp_path, a_backend):
    folder, moved = series(QUIET.of(left_foot()), tmp_path / "ct")
    noise = np.random.default_rng(0).normal(0, 300, (40, 50, 60)).astype(np.int16)
    bad = write(Image(noise, spacing=(2, 2, 2), spacing_source="test"), tmp_path / "noise.nrrd")
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\nbroken")
    oblique = Scan(spacing=(2.4, 2.4, 2.0), direction=((0.8, -0.6, 0), (0.6, 0.8, 0), (0, 0, 1.0)))
    paths = [
        folder,
        bad,
        write(QUIET.of(right_foot()), tmp_path / "right.nii.gz"),
        tmp_path / "broken.nrrd",
        write(oblique.of(right_foot()), tmp_path / "oblique.nrrd"),
    ]
    first, refused, second, broken, third = measured(paths, tmp_path / "out", a_backend)
    check(first, left_foot() + moved, "left")
    check(second, right_foot(), "right")
    check(third, right_foot(), "right")
    assert refused.error.startswith("noise.nrrd: no foot was recognised in this volume: no body stands out")
    assert broken.error.startswith("broken.nrrd: ")
    assert {path.name.partition(".")[0] for path in (tmp_path / "out").iterdir()} == {"ct", "right", "oblique"}


def test_two_feet_in_one_volume_are_two_results(tmp_path, a_backend):
    feet = {"right": right_foot(), "left": left_foot(100.0)}
    path = write(Scan(floor=10.0).of(*feet.values()), tmp_path / "both.nrrd")
    results = measured([path], tmp_path / "out", a_backend)
    assert [result.files[0].name for result in results] == ["both-right.mrk.json", "both-left.mrk.json"]
    for result, (side, points) in zip(results, feet.items(), strict=True):
        check(result, points, side)


def test_landmarks_that_are_not_in_the_volume_are_null_and_angles_say_why(tmp_path, a_backend):
    ankle = right_foot()
    ankle[np.isin(PROTOCOL.landmark_ids, ("M1b", "M2b", "M5", "P1", "P2"))] = np.nan
    (result,) = measured([write(QUIET.of(ankle), tmp_path / "ankle.nrrd")], tmp_path / "out", a_backend)
    check(result, ankle, "right")
    entries = {entry["id"]: entry for entry in result.record["landmarks"]}
    assert entries["M5"] == {"id": "M5", "position": None, "confidence": 0.0}
    angles = {entry["id"]: entry for entry in result.record["measurements"]}
    assert "P1" in angles["hallux-valgus-angle-3d"]["reason"]
    assert angles["gissane-angle-3d"]["value"] is not None
    assert "not found in the volume: M1b, M2b, P1, P2, M5" in result.record["warnings"]
