"""Datasets to the formats of other tools and back: points, ids, protocol, proposal and pixels as they were."""

import csv
import json

import numpy as np
import pytest
from support.reviewed import PROTOCOL, reviewed_cases, write_reviewed

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exports import write_coco, write_labelme, write_table
from orthoangles.annotation.importing import import_coco, import_labelme
from orthoangles.annotation.picture_files import packed, packing, unpacked
from orthoangles.errors import DatasetError
from orthoangles.images import Image, read_image
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit
IDS = load_protocol(PROTOCOL).landmark_ids
ROUND_TRIPS = [(write_coco, import_coco), (write_labelme, import_labelme)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviewed")
    write_reviewed(folder)
    return Dataset(folder)


def pixels(dataset, case, points):
    return dataset.read_image(case).index_points(points)


@pytest.mark.parametrize(("write", "bring"), ROUND_TRIPS)
def test_points_ids_protocol_and_all_that_is_known_come_back(tmp_path, dataset, write, bring):
    report = write(dataset.folder, tmp_path / "out")
    assert (len(report.written), len(report.left_out), report.failed) == (4, 1, ())
    assert bring(tmp_path / "out", tmp_path / "back").failed == ()
    back = Dataset(tmp_path / "back")
    assert back.problems(digests=True) == ()
    assert {case.id for case in back.cases} == set(report.written)
    for old in (case for case in dataset.cases if not case.rejected):
        new = back.case(old.id)
        assert (new.protocol, new.group, new.split) == (old.protocol, old.group, old.split)
        was, now = dataset.read_points(old, IDS), back.read_points(new, IDS)
        assert np.allclose(pixels(dataset, old, was), pixels(back, new, now), rtol=0, atol=1e-9, equal_nan=True)
        assert np.allclose(was, now, rtol=0, atol=1e-9, equal_nan=True)
        image, same = dataset.read_image(old), back.read_image(new)
        assert same.sha256 == image.sha256
        for fact in ("spacing_source", "laterality", "view", "modality", "patient_age"):
            assert getattr(same, fact) == getattr(image, fact)
        assert new.provenance["protocol"] == old.provenance["protocol"]
        assert new.provenance["review"] == old.provenance["review"]
        assert new.provenance.get("model") == old.provenance["model"]


@pytest.mark.parametrize(("write", "bring"), ROUND_TRIPS)
def test_the_proposal_comes_back_apart_from_the_correction(tmp_path, dataset, write, bring):
    write(dataset.folder, tmp_path / "out")
    bring(tmp_path / "out", tmp_path / "back")
    back = Dataset(tmp_path / "back")
    (old,) = (case for case in dataset.cases if case.predicted)
    new = back.case(old.id)
    was, now = dataset.read_predicted(old, IDS), back.read_predicted(new, IDS)
    assert np.allclose(was, now, rtol=0, atol=1e-9, equal_nan=True)
    for a, b in zip(dataset.read_certainty(old, IDS), back.read_certainty(new, IDS), strict=True):
        assert np.array_equal(a, b, equal_nan=True)
    assert [case.id for case in back.cases if case.predicted] == [old.id]


def test_coco_is_what_pycocotools_expects(tmp_path, dataset):
    write_coco(dataset.folder, tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    (category,) = content["categories"]
    assert category["keypoints"] == list(IDS)
    assert all(1 <= end <= 68 for pair in category["skeleton"] for end in pair)
    images = {image["id"]: image for image in content["images"]}
    assert len(images) == 3  # two readers of one image share it
    for image in images.values():
        assert read_image(tmp_path / image["file_name"]).size[:2] == (image["width"], image["height"])
    first = content["annotations"][0]
    keypoints = np.array(first["keypoints"]).reshape(68, 3)
    assert np.array_equal(keypoints[[4, 20]], np.zeros((2, 3)))  # unset
    assert keypoints[7].tolist() == [-3, 40, 1]  # outside the image
    assert (np.delete(keypoints[:, 2], [4, 7, 20]) == 2).all()
    assert first["num_keypoints"] == 66
    assert first["confidence"][9] is None
    assert first["confidence"][0] == pytest.approx(0.2)
    assert first["bbox"][0] == -3


def test_only_the_wanted_states_are_exported(tmp_path, dataset):
    report = write_table(dataset.folder, tmp_path, states=("confirmed", "rejected"))
    states = [case.provenance["review"]["state"] for case in dataset.cases if case.id in report.written]
    assert sorted(states) == ["confirmed", "rejected"]
    with pytest.raises(ValueError, match="'perhaps' is not one of"):
        write_table(dataset.folder, tmp_path, states=("perhaps",))


def test_the_table_has_a_row_per_landmark_with_how_far_it_moved(tmp_path, dataset):
    write_table(dataset.folder, tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 68
    case = reviewed_cases()[0]
    first = rows[:68]
    assert [row["landmark"] for row in first] == list(IDS)
    assert first[4]["column_px"] == ""
    assert float(first[0]["x_mm"]) == case.points[0, 0]
    assert float(first[0]["moved_px"]) == pytest.approx(0.37 * 2**0.5)
    assert first[0]["moved_mm"] == ""  # no spacing
    assert (first[0]["reader"], first[0]["state"], first[0]["seconds"]) == ("Dr. Lee", "confirmed", "200.0")
    assert first[0]["model_sha256"] == "ab" * 32
    assert first[9]["predicted_row_px"] == first[9]["confidence"] == ""
    placed = rows[2 * 68]
    assert placed["spacing_known"] == "1"


def test_a_volume_goes_into_the_table_only(tmp_path):
    from orthoangles.annotation.exporting import export_case

    protocol = load_protocol("foot-wbct")
    points = np.arange(66.0).reshape(22, 3)
    volume = Image(
        np.arange(20**3, dtype=np.int16).reshape(20, 20, 20), spacing_source="NRRD header", spacing=(1, 1, 2)
    )
    case_id = export_case(tmp_path / "d", image=volume, protocol=protocol, points=points)
    for write in (write_coco, write_labelme):
        report = write(tmp_path / "d", tmp_path / "o")
        assert report.written == ()
        assert report.failed == ((case_id, "is a volume, which this format cannot hold; export it as csv."),)
    assert write_table(tmp_path / "d", tmp_path / "t.csv").written == (case_id,)
    with (tmp_path / "t.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[1]
    assert [float(row[key]) for key in ("x_mm", "y_mm", "z_mm", "slice_px")] == [3, 4, 5, 2.5]


@pytest.mark.parametrize("write", [write_coco, write_labelme])
def test_the_dataset_is_not_written_over(dataset, write):
    with pytest.raises(DatasetError, match="is the dataset itself"):
        write(dataset.folder, dataset.folder)


@pytest.mark.parametrize("write", [write_coco, write_labelme])
def test_a_broken_case_fails_alone(tmp_path, dataset, write):
    ids = write_reviewed(tmp_path / "d")
    Dataset(tmp_path / "d").image_path(Dataset(tmp_path / "d").case(ids[0])).write_bytes(b"no picture")
    report = write(tmp_path / "d", tmp_path / "out")
    assert [name for name, _ in report.failed] == [ids[0]]
    assert len(report.written) == 3


@pytest.mark.parametrize(
    ("array", "exact"),
    [
        (np.array([[0, 255]], np.uint8), True),
        (np.array([[0, 65535]], np.uint16), True),
        (np.array([[-1024, 3071]], np.int16), True),
        (np.array([[-32768, 32767]], np.int16), True),
        (np.array([[100_000, 165_000]], np.int32), True),
        (np.array([[-5.0, 60000.0]], np.float32), True),
        (np.array([[0, 2**31 - 1, 2**30]], np.int32), False),
        (np.array([[0.0, 0.1, 1.0]], np.float32), False),
        (np.array([[7, 7]], np.int16), True),
    ],
)
def test_grey_values_fit_into_a_png(array, exact):
    rule = json.loads(json.dumps(packing(array)))
    stored = packed(array, rule)
    assert stored.dtype in (np.uint8, np.uint16)
    back = unpacked(stored, rule)
    assert back.dtype == array.dtype
    span = float(array.max()) - float(array.min())
    assert np.abs(back.astype(float) - array).max() <= (0 if exact else span / 65535)
