"""Export of corrected cases: complete, replaced by re-export, free of the patient's name, and read back exactly."""

import json
from datetime import datetime, timezone

import numpy as np
import pytest
from support.planted import WORDS, write_planted_dicom

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exporting import Review, export_case
from orthoangles.annotation.importing import import_slicer
from orthoangles.annotation.markups_json import write_markups
from orthoangles.annotation.records import protocol_record
from orthoangles.errors import DatasetError
from orthoangles.images import Image, read_image
from orthoangles.paths import protocols_dir
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("spine-ap-cobb")


@pytest.fixture(scope="module")
def spine():
    return simulate_spine(11, (320, 150))


@pytest.fixture
def image(spine):
    return Image(spine.image[None], name="spine.png")


@pytest.fixture
def prediction(protocol, spine):
    points = spine.points + 1.0
    points[5] = np.nan
    return Prediction(
        "spine-ap-cobb", protocol.landmark_ids, points, np.full(68, 0.9), np.full(68, 1.5),
        ModelInfo("spine_ap_cobb", "1.0", "ab" * 32), warnings=("spine.png: corners cross",),
    )  # fmt: skip


@pytest.fixture
def dicom_file(tmp_path, spine):
    """A DX file whose header, and whose name, are full of the patient."""
    path = tmp_path / "Zaphodius_Quackenbush_1968.dcm"
    write_planted_dicom(path, spine.image)
    return path


def moved(points, *indices):
    points = points.copy()
    points[list(indices), 0] += 3.0
    return points


def test_the_record_says_who_when_by_which_network_and_what_changed(tmp_path, protocol, image, prediction, spine):
    points = moved(prediction.points, 0, 7)
    points[5], points[9] = spine.points[5], np.nan
    review = Review(
        "Dr. Lee", "confirmed", datetime(2026, 1, 2, 3, tzinfo=timezone.utc), "2026-01-02T03:04:00+00:00", 240.0
    )
    case_id = export_case(tmp_path, image=image, protocol=protocol, points=points, prediction=prediction, review=review)
    case = Dataset(tmp_path).case(case_id)
    noted = case.provenance
    assert noted["review"] == {
        "reader": "Dr. Lee", "state": "confirmed", "started": "2026-01-02T03:00:00+00:00",
        "finished": "2026-01-02T03:04:00+00:00", "seconds": 240.0, "reason": "", "elapsed_seconds": 240.0,
    }  # fmt: skip
    assert noted["model"] == {"name": "spine_ap_cobb", "version": "1.0", "sha256": "ab" * 32}
    assert noted["image"]["sha256"] == image.sha256
    assert noted["changes"] == [
        {"id": "T1-TL", "change": "moved", "distance_mm": None, "distance_px": pytest.approx(3)},
        {"id": "T2-TR", "change": "placed", "distance_mm": None, "distance_px": None},
        {"id": "T2-BR", "change": "moved", "distance_mm": None, "distance_px": pytest.approx(3)},
        {"id": "T3-TR", "change": "removed", "distance_mm": None, "distance_px": None},
    ]
    dataset = Dataset(tmp_path)
    assert np.array_equal(dataset.read_points(case, protocol.landmark_ids), points, equal_nan=True)
    assert np.array_equal(dataset.read_predicted(case, protocol.landmark_ids), prediction.points, equal_nan=True)
    confidence, spread = dataset.read_certainty(case, protocol.landmark_ids)
    assert np.array_equal(confidence, prediction.confidence)
    assert np.array_equal(spread, prediction.spread)
    assert dataset.problems(digests=True) == ()


def test_a_move_is_stated_in_millimetres_where_the_image_has_a_spacing(tmp_path, protocol, spine):
    image = Image(spine.image[None], spacing=(0.5, 0.25, 1), spacing_source="ImagerPixelSpacing")
    proposed = image.physical_points(spine.points)
    nothing = np.full(68, np.nan)
    prediction = Prediction(
        protocol.id, protocol.landmark_ids, proposed, nothing, nothing, ModelInfo("m", "1", "0" * 64)
    )
    points = proposed.copy()
    points[3] += (0, 2, 0)
    export_case(tmp_path, image=image, protocol=protocol, points=points, prediction=prediction)
    change = {"id": "T1-BR", "change": "moved", "distance_mm": pytest.approx(2), "distance_px": pytest.approx(8)}
    assert Dataset(tmp_path).cases[0].provenance["changes"] == [change]


def test_a_rejected_image_is_in_the_dataset_with_its_reason(tmp_path, protocol, image):
    review = Review("r", "rejected", reason="metal over the lumbar spine")
    export_case(tmp_path, image=image, protocol=protocol, points=np.full((68, 3), np.nan), review=review)
    (case,) = Dataset(tmp_path).cases
    assert case.rejected
    assert case.provenance["review"]["reason"] == "metal over the lumbar spine"


@pytest.mark.parametrize("review", [{"state": "rejected"}, {"state": "rejected", "reason": " "}, {"reason": "dark"}])
def test_a_rejection_needs_a_reason_and_only_a_rejection_has_one(review):
    with pytest.raises(ValueError, match="needs a reason"):
        Review(**review)


def test_the_protocol_is_noted_with_a_digest_that_changes_with_what_it_says(tmp_path, protocol, image, spine):
    export_case(tmp_path, image=image, protocol=protocol, points=spine.points)
    noted = Dataset(tmp_path).cases[0].provenance["protocol"]
    assert (noted["id"], noted["version"]) == ("spine-ap-cobb", protocol.version)
    assert noted == protocol_record(load_protocol("spine-ap-cobb"))
    file = protocols_dir() / "spine-ap-cobb.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["landmarks"][0]["description"] += " Or nearby."
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    changed = protocol_record(load_protocol(other))
    assert changed["sha256"] != noted["sha256"]
    assert len(changed["sha256"]) == 64


def test_re_export_replaces_and_another_reader_does_not(tmp_path, protocol, image, spine):
    def export(points, reader):
        return export_case(tmp_path, image=image, protocol=protocol, points=points, review=Review(reader))

    first = export(spine.points, "a")
    again = export(moved(spine.points, 0), "a")
    other = export(spine.points, "b")
    assert first == again != other
    cases = {case.id: case for case in Dataset(tmp_path).cases}
    assert set(cases) == {first, other}
    assert cases[first].group == cases[other].group
    stored = Dataset(tmp_path).read_points(cases[first], protocol.landmark_ids)
    assert np.array_equal(stored, moved(spine.points, 0))


@pytest.mark.parametrize(("one", "other"), [("Müller", "Möller"), ("A. Lee", "a lee"), ("李", "王")])
def test_readers_whose_names_look_alike_stay_apart(tmp_path, protocol, image, spine, one, other):
    ids = {
        export_case(tmp_path, image=image, protocol=protocol, points=spine.points, review=Review(reader))
        for reader in (one, other)
    }
    assert len(ids) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("placed", [False, True])
def test_the_image_comes_back_to_the_last_bit(tmp_path, protocol, spine, dtype, placed):
    pixels = spine.image[None].astype(dtype) * dtype(3)
    place = (
        {"spacing": (0.143, 0.143, 1), "origin": (3, -70.5, 9), "spacing_source": "ImagerPixelSpacing"}
        if placed
        else {}
    )
    image = Image(pixels, name="x.png", laterality="L", view="AP", patient_age=12.5, **place)
    case_id = export_case(tmp_path, image=image, protocol=protocol, points=spine.points)
    back = Dataset(tmp_path).read_image(Dataset(tmp_path).case(case_id))
    assert back.array.dtype == dtype
    assert back.sha256 == image.sha256
    assert (back.spacing_source, back.laterality, back.view, back.patient_age) == (
        image.spacing_source, "L", "AP", 12.5,
    )  # fmt: skip


def test_nothing_of_the_patient_reaches_the_dataset(tmp_path, protocol, spine, prediction, dicom_file):
    image = read_image(dicom_file)
    out = tmp_path / "out"
    export_case(out, image=image, protocol=protocol, points=spine.points, prediction=prediction)
    for path in out.iterdir():
        content = path.read_bytes()
        for word in (*WORDS, "Zaphodius_Quackenbush"):
            assert word.encode() not in content, f"{word} in {path.name}"
            assert word not in path.name
    record = (out / "dataset.json").read_text()
    assert "ImagerPixelSpacing" in record
    assert {path.suffix for path in out.iterdir() if path.suffix not in (".json", "")} == {".nrrd"}


def test_a_warning_that_names_the_file_loses_the_name(tmp_path, protocol, image, prediction, spine):
    export_case(tmp_path, image=image, protocol=protocol, points=spine.points, prediction=prediction)
    assert Dataset(tmp_path).cases[0].provenance["prediction_warnings"] == ["image: corners cross"]


def test_the_age_of_the_very_old_is_not_kept(tmp_path, protocol, spine):
    image = Image(spine.image[None], patient_age=93.0)
    export_case(tmp_path, image=image, protocol=protocol, points=spine.points)
    assert Dataset(tmp_path).cases[0].provenance["image"]["patient_age"] is None


def test_a_wrong_number_of_points_or_another_protocols_prediction_is_refused(
    tmp_path, protocol, image, prediction, spine
):
    with pytest.raises(DatasetError, match="67 landmarks do not fit"):
        export_case(tmp_path, image=image, protocol=protocol, points=spine.points[:-1])
    foreign = Prediction("other", ("a",), np.zeros((1, 3)), np.zeros(1), np.zeros(1), ModelInfo("m", "1", "0" * 64))
    with pytest.raises(DatasetError, match="prediction's landmarks"):
        export_case(tmp_path, image=image, protocol=protocol, points=spine.points, prediction=foreign)
    assert not Dataset(tmp_path).exists


def test_an_unknown_review_state_is_refused():
    with pytest.raises(ValueError, match="review state 'perhaps'"):
        Review(state="perhaps")


def test_an_exported_dataset_is_imported_unchanged(tmp_path, protocol, image, prediction, spine):
    export_case(
        tmp_path / "a", image=image, protocol=protocol, points=spine.points, prediction=prediction,
        review=Review("r", "confirmed"), group="patient-9", split="test",
    )  # fmt: skip
    report = import_slicer(tmp_path / "a", tmp_path / "b")
    first, second = Dataset(tmp_path / "a"), Dataset(tmp_path / "b")
    assert report.imported == (first.cases[0].id,)
    assert second.cases[0] == first.cases[0]
    for name in first.cases[0].files:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_a_folder_of_images_and_markups_is_imported_exactly(tmp_path, protocol, image, spine):
    source = tmp_path / "source"
    source.mkdir()
    spine.write_png(source / "one.png")
    write_markups(source / "one.mrk.json", protocol.landmark_ids[::-1], spine.points[::-1])
    (source / "one.overlay.png").write_bytes(b"not the image")
    write_markups(source / "lonely.mrk.json", protocol.landmark_ids, spine.points)
    spine.write_png(source / "foreign.png")
    write_markups(source / "foreign.mrk.json", ("nose",), spine.points[:1])
    report = import_slicer(source, tmp_path / "out")
    dataset = Dataset(tmp_path / "out")
    assert len(report.imported) == 1
    failed = dict(report.failed)
    assert failed.keys() == {"file 1 of 3", "file 2 of 3"}
    assert "fit no protocol" in failed["file 1 of 3"]
    assert "no image of the same name" in failed["file 2 of 3"]
    named = dict(import_slicer(source, tmp_path / "named", show_names=True).failed)
    assert named.keys() == {"foreign.mrk.json", "lonely.mrk.json"}
    assert np.array_equal(dataset.read_points(dataset.cases[0], protocol.landmark_ids), spine.points)
    assert np.array_equal(dataset.read_image(dataset.cases[0]).array, image.array)
    assert dataset.problems(digests=True) == ()


def test_import_into_itself_and_from_nothing_is_refused(tmp_path, protocol, image, spine):
    export_case(tmp_path / "a", image=image, protocol=protocol, points=spine.points)
    with pytest.raises(DatasetError, match="same dataset"):
        import_slicer(tmp_path / "a", tmp_path / "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"neither a dataset\.json nor"):
        import_slicer(tmp_path / "empty", tmp_path / "b")
    with pytest.raises(DatasetError, match="the source: is not a folder"):
        import_slicer(tmp_path / "gone", tmp_path / "b")
    with pytest.raises(DatasetError, match="gone: is not a folder"):
        import_slicer(tmp_path / "gone", tmp_path / "b", show_names=True)
