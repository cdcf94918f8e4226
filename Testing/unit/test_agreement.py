"""Agreement of readers: which readings are compared, what comes out, and which cases are to be opened again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.readers import PROTOCOL, jitter, proposal, read_case, spine
from support.standing_volume import foot_in_volume, standing_volume

from orthoangles.agreement_statistics import intraclass_correlation, intraclass_interval
from orthoangles.annotation.agreement import find_agreement
from orthoangles.annotation.agreement.comparing import ReadingGrid
from orthoangles.annotation.agreement.comparisons import ComparedImage, Pair, Series
from orthoangles.annotation.agreement.readings import Reading, read_readings
from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.exporting import Review, export_case
from orthoangles.errors import DatasetError
from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol
from orthoangles.training.point_metrics import angle_figures
from orthoangles.training.point_metrics import intraclass_correlation as judged_icc

pytestmark = pytest.mark.unit

COUNT = 8
MAJOR = "cobb-aasce-max"


def points_by(reader: int, number: int) -> np.ndarray:
    return jitter(spine(number)[1], 0.8, 100 * reader + number)


def value_of(number: int, points: np.ndarray, measurement: str = MAJOR) -> float:
    return measure(load_protocol(PROTOCOL), points, image=spine(number)[0]).by_id(measurement).value


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Lee, who read all eight spines from a proposal, and Kim and Park, who each lack one."""
    folder = tmp_path_factory.mktemp("readers")
    for number in range(COUNT):
        image, truth = spine(number)
        proposed = proposal(jitter(truth, 1.5, 900 + number))
        read_case(folder / "lee", image, points_by(1, number), "Lee", prediction=proposed)
        if number != 0:
            read_case(folder / "kim", image, points_by(2, number), "Kim")
        if number != 3:
            read_case(folder / "park", image, points_by(3, number), "Park")
    return folder


@pytest.fixture(scope="module")
def lee_and_kim(readers):
    return find_agreement([readers / "lee", readers / "kim"])


def angle_of(agreement, measurement=MAJOR):
    return next(angle for angle in agreement.angles if angle.id == measurement)


# --- two readers
def test_values_and_figures_are_those_of_measuring_each_reading(lee_and_kim):
    (found,) = angle_of(lee_and_kim).comparisons
    lee, kim = (np.array([value_of(n, points_by(r, n)) for n in range(1, COUNT)]) for r in (1, 2))
    assert found.first == pytest.approx(lee)
    assert found.second == pytest.approx(kim)
    assert found.icc == pytest.approx(judged_icc(lee, kim), abs=1e-12)
    assert found.icc_interval == pytest.approx(intraclass_interval(np.column_stack([lee, kim])))
    judged = angle_figures(kim - lee)
    assert (found.figures.cases, found.figures.bias) == (7, pytest.approx(judged["bias"]))
    assert found.figures.limits == pytest.approx(judged["limits"])
    assert found.figures.mean_absolute == pytest.approx(judged["mae"])


def test_every_measurement_and_landmark_of_the_protocol_is_there_in_its_order(lee_and_kim):
    protocol = load_protocol(PROTOCOL)
    assert [angle.id for angle in lee_and_kim.angles] == [entry.id for entry in protocol.measurements]
    assert tuple(landmark.id for landmark in lee_and_kim.landmarks) == protocol.landmark_ids
    assert (lee_and_kim.raters, [pair.kind for pair in lee_and_kim.pairs]) == (("Lee", "Kim"), ["readers"])


def test_an_image_that_one_reader_lacks_is_named(lee_and_kim):
    (lonely,) = lee_and_kim.incomplete
    assert lonely.digest == spine(0)[0].sha256
    assert lonely.readers == ("Lee",)
    assert (len(lee_and_kim.images), len(lee_and_kim.compared)) == (8, 7)


@pytest.mark.parametrize(("spacing", "unit", "distance"), [(None, "px", 5.0), (0.5, "mm", 2.5)])
def test_landmarks_lie_apart_in_mm_where_the_spacing_is_known_else_in_pixels(tmp_path, spacing, unit, distance):
    image, truth = spine(1, spacing)
    shift = np.array([3.0, 4.0, 0.0]) * (spacing or 1)
    missing = truth + shift
    missing[5] = np.nan
    read_case(tmp_path / "a", image, truth, "A")
    read_case(tmp_path / "b", image, missing, "B")
    found = find_agreement([tmp_path / "a", tmp_path / "b"])
    (first,) = found.landmarks[0].comparisons
    other = {"mm": "px", "px": "mm"}[unit]
    assert first.figures(unit) == pytest.approx(
        {"points": 1, "mean": distance, "median": distance, "p95": distance, "largest": distance}
    )
    assert first.figures(other) is None
    (unset,) = found.landmarks[5].comparisons
    assert (len(unset.images), unset.only_first, unset.only_second) == (0, 1, 0)
    (pooled,) = found.all_landmarks.comparisons
    assert pooled.figures(unit)["points"] == 67
    assert pooled.only_first == 1


def test_a_measurement_that_only_one_reading_has_is_counted_and_not_compared(tmp_path):
    image, truth = spine(1)
    less = truth.copy()
    less[:4] = np.nan
    read_case(tmp_path / "a", image, truth, "A")
    read_case(tmp_path / "b", image, less, "B")
    (found,) = angle_of(find_agreement([tmp_path / "a", tmp_path / "b"])).comparisons
    assert (found.figures.cases, found.only_first, found.only_second) == (0, 1, 0)
    assert np.isnan(found.icc)


def test_volumes_are_compared_in_space(tmp_path):
    volume, points = standing_volume(), foot_in_volume()
    for reader, moved in (("A", points), ("B", points + np.array([2.0, 3.0, 6.0]))):
        export_case(tmp_path / reader, image=volume, protocol="foot-wbct", points=moved, review=Review(reader))
    found = find_agreement([tmp_path / "A", tmp_path / "B"])
    assert found.all_landmarks.comparisons[0].figures("mm")["mean"] == pytest.approx(7.0)
    measured = [each for angle in found.angles for each in angle.comparisons if each.figures.cases]
    assert len(measured) > 20
    assert max(each.figures.largest for each in measured) < 1e-9


def test_angles_differ_by_the_shorter_way_round():
    protocol = load_protocol(PROTOCOL)
    geometry = spine(0)[0].geometry
    series = [Series("A", 1, False), Series("B", 1, False)]
    images = []
    for k, values in enumerate([(179.0, -179.0), (-178.0, 178.0), (10.0, 13.0)]):
        own = tuple(
            Reading(each.rater, False, None, None, str(k), geometry, np.full((68, 3), np.nan), np.full(10, value))
            for each, value in zip(series, values, strict=True)
        )
        images.append(ComparedImage(str(k), str(k), own))
    angle = ReadingGrid(protocol, series, images).angle(0, [Pair(*series)])
    assert angle.comparisons[0].differences == pytest.approx([2.0, -4.0, 3.0])
    assert angle.comparisons[0].icc > 0.99


# --- three readers, repeated readings, the model
def test_three_readers_have_an_icc_of_all_over_the_images_that_all_read(readers):
    found = find_agreement([readers / name for name in ("lee", "kim", "park")])
    angle = angle_of(found)
    common = [number for number in range(COUNT) if number not in (0, 3)]
    values = np.array([[value_of(n, points_by(reader, n)) for reader in (1, 2, 3)] for n in common])
    assert angle.icc == pytest.approx(intraclass_correlation(values))
    assert angle.icc_interval == pytest.approx(intraclass_interval(values))
    assert angle.icc_images == 6
    assert [pair.name for pair in found.pairs] == ["Kim − Lee", "Park − Lee", "Park − Kim"]
    assert [each.figures.cases for each in angle.comparisons] == [7, 7, 6]
    assert {image.readers for image in found.incomplete} == {("Lee", "Park"), ("Lee", "Kim")}


def test_two_datasets_of_one_reader_are_repeated_readings(readers, tmp_path):
    for number in range(3):
        read_case(tmp_path / "again", spine(number)[0], points_by(4, number), "Lee")
    found = find_agreement([readers / "lee", readers / "kim", tmp_path / "again"])
    assert [(pair.name, pair.kind) for pair in found.pairs] == [
        ("Kim − Lee", "readers"),
        ("Lee, reading 2 − Lee", "repeated"),
    ]
    repeated = angle_of(found).comparisons[1]
    differences = [value_of(n, points_by(4, n)) - value_of(n, points_by(1, n)) for n in range(3)]
    assert repeated.differences == pytest.approx(differences)
    assert repeated.figures.repeatability == pytest.approx(1.96 * np.sqrt(np.mean(np.square(differences))))
    # The names may say that they are two readers after all.
    named = find_agreement([readers / "lee", tmp_path / "again"], names=["Lee A", "Lee B"])
    assert [(pair.name, pair.kind) for pair in named.pairs] == [("Lee B − Lee A", "readers")]


def test_a_reader_against_the_models_proposals(readers):
    found = find_agreement([readers / "lee"], model=True)
    assert found.raters == ("Lee", "model spine_ap_cobb 1.0 (abababab)")
    assert found.readers == ("Lee",)
    assert found.incomplete == found.source.notes == ()
    (comparison,) = angle_of(found).comparisons
    assert comparison.pair.kind == "model"
    proposed = [value_of(n, jitter(spine(n)[1], 1.5, 900 + n)) for n in range(COUNT)]
    assert comparison.second == pytest.approx(proposed)


def test_a_proposal_counts_once_and_images_without_one_are_named(readers, tmp_path):
    for number in range(2, 10):
        image, truth = spine(number)
        proposed = proposal(jitter(truth, 1.5, 900 + number)) if number < 5 else None
        read_case(tmp_path / "choi", image, truth, "Choi", prediction=proposed)
    found = find_agreement([readers / "lee", tmp_path / "choi"], model=True)
    assert [pair.kind for pair in found.pairs] == ["readers", "model", "model"]
    assert [each.figures.cases for each in angle_of(found).comparisons] == [6, 8, 6]
    (note,) = found.source.notes
    assert note.startswith("2 images hold no proposal of the model")


def test_two_editions_of_a_model_are_two_raters(readers, tmp_path):
    image, truth = spine(2)
    read_case(tmp_path / "new", image, truth, "Choi", prediction=proposal(truth, "cd" * 32))
    found = find_agreement([readers / "lee", tmp_path / "new"], model=True)
    assert found.raters[2:] == ("model spine_ap_cobb 1.0 (abababab)", "model spine_ap_cobb 1.0 (cdcdcdcd)")


# --- what is compared at all
def test_readers_without_a_name_are_called_by_their_datasets(tmp_path):
    image, truth = spine(1)
    for place in ("one", "two", "other/two"):
        read_case(tmp_path / place, image, truth, "")
    found = find_agreement([tmp_path / "one", tmp_path / "two", tmp_path / "other" / "two"])
    assert found.raters == ("one", "two (2)", "two (3)")


def test_rejected_and_unreviewed_cases_are_left_out_and_a_broken_one_fails_alone(tmp_path):
    states = ["confirmed", "rejected", "predicted", "corrected", "confirmed"]
    for number, state in enumerate(states):
        image, truth = spine(number)
        review = Review("A", state, reason="blurred" if state == "rejected" else "")
        read_case(tmp_path / "a", image, truth, "A", review=review)
        read_case(tmp_path / "b", image, truth, "B")
    broken = Dataset(tmp_path / "a").cases[4]
    (tmp_path / "a" / broken.points).write_text("{")
    found = find_agreement([tmp_path / "a", tmp_path / "b"])
    assert [(entry.reason, entry.failed) for entry in found.left_out[:2]] == [
        ("rejected by the reader", False),
        ("not reviewed", False),
    ]
    assert (found.left_out[2].case, found.left_out[2].failed) == (broken.id, True)
    assert len(found.compared) == 2
    assert len(found.incomplete) == 3


def saved_again(image, change):
    return replace(image, array=change(image.array))


def test_images_that_differ_match_by_a_shared_case_id_if_they_show_the_same_place(tmp_path):
    image, truth = spine(1)
    masked = saved_again(image, lambda array: np.where(np.arange(array.shape[2]) < 9, 0, array).astype(array.dtype))
    read_case(tmp_path / "a", image, truth, "A", case_id="film-1")
    read_case(tmp_path / "b", masked, truth + np.array([1.0, 0, 0]), "B", case_id="film-1")
    found = find_agreement([tmp_path / "a", tmp_path / "b"])
    assert found.all_landmarks.comparisons[0].figures("px")["mean"] == pytest.approx(1.0)
    assert found.images[0].label == "film-1"
    assert found.source.notes == ("case film-1: the images differ; matched by the case id alone.",)


def test_images_of_another_size_are_never_matched(tmp_path):
    image, truth = spine(1)
    cropped = saved_again(image, lambda array: array[:, :-4])
    read_case(tmp_path / "a", image, truth, "A", case_id="film-1")
    read_case(tmp_path / "b", cropped, truth, "B", case_id="film-1")
    with pytest.raises(DatasetError, match="nothing can be compared: found 2 readings by A, B"):
        find_agreement([tmp_path / "a", tmp_path / "b"])
    (note,) = read_readings([tmp_path / "a", tmp_path / "b"]).notes
    assert "differ in size or place" in note


def test_the_digest_comes_before_the_case_id(tmp_path):
    """Two readers who number their films themselves: the number means nothing where digests find each other."""
    for reader, order in (("A", (1, 2)), ("B", (2, 1))):
        for place, number in enumerate(order):
            image, truth = spine(number)
            read_case(tmp_path / reader, image, truth, reader, case_id=f"film-{place}")
    found = find_agreement([tmp_path / "A", tmp_path / "B"])
    assert found.source.notes == ()
    assert found.all_landmarks.comparisons[0].figures("px")["largest"] == 0


def test_datasets_of_several_protocols_need_one_named(readers, tmp_path):
    for reader in "AB":
        volume = standing_volume()
        export_case(
            tmp_path / reader, image=volume, protocol="foot-wbct", points=foot_in_volume(), review=Review(reader)
        )
        read_case(tmp_path / reader, *spine(1), reader)
    with pytest.raises(DatasetError, match=r"several protocols \(foot-wbct, spine-ap-cobb\): name one"):
        find_agreement([tmp_path / "A", tmp_path / "B"])
    found = find_agreement([tmp_path / "A", tmp_path / "B"], protocol=PROTOCOL)
    assert len(found.images) == 1


def test_readings_by_two_editions_of_the_protocol_are_noted(tmp_path):
    for reader in "AB":
        read_case(tmp_path / reader, *spine(1), reader)
    assert find_agreement([tmp_path / "A", tmp_path / "B"]).source.notes == ()
    index = tmp_path / "B" / "dataset.json"
    content = json.loads(index.read_text())
    content["cases"][0]["provenance"]["protocol"] |= {"version": "0.9.0", "sha256": "00"}
    index.write_text(json.dumps(content))
    (note,) = find_agreement([tmp_path / "A", tmp_path / "B"]).source.notes
    assert "2 editions of the protocol (0.9.0, 1.0.0)" in note


def test_one_reader_alone_is_told_what_was_found(readers):
    with pytest.raises(
        DatasetError, match="found 8 readings by Lee of protocol spine-ap-cobb, and no image read twice"
    ):
        find_agreement([readers / "lee"])


# --- outliers
def test_the_largest_differences_come_first_and_can_be_opened(tmp_path):
    for number in range(COUNT):
        image, truth = spine(number)
        read_case(tmp_path / "a", image, jitter(truth, 0.3, number), "A")
        wrong = truth.copy()
        if number == 5:
            wrong[20] += [0.0, 15.0, 0.0]
        read_case(tmp_path / "b", image, wrong, "B")
    found = find_agreement([tmp_path / "a", tmp_path / "b"], outliers=3)
    assert [outlier.kind for outlier in found.outliers] == ["angle"] * 3 + ["landmark"] * 3
    landmarks = [outlier for outlier in found.outliers if outlier.kind == "landmark"]
    worst = landmarks[0]
    assert worst.image.digest == spine(5)[0].sha256
    assert worst.id == load_protocol(PROTOCOL).landmark_ids[20]
    assert 14 < worst.difference < 16
    assert worst.unit == "px"
    assert [abs(each.difference) for each in landmarks] == sorted((abs(e.difference) for e in landmarks), reverse=True)
    assert len({each.image.digest for each in landmarks}) == 3
    for reading, points in zip(worst.readings, (jitter(spine(5)[1], 0.3, 5), None), strict=True):
        assert reading.dataset.image_path(reading.case).is_file()
        if points is not None:
            ids = load_protocol(PROTOCOL).landmark_ids
            assert np.allclose(reading.dataset.read_points(reading.case, ids), points)
    assert found.outliers[0].image.digest == spine(5)[0].sha256
    assert found.outliers[0].outside


def test_readers_who_agree_have_no_outliers(tmp_path):
    for number in range(3):
        image, truth = spine(number)
        for reader in "AB":
            read_case(tmp_path / reader, image, truth, reader)
    found = find_agreement([tmp_path / "A", tmp_path / "B"])
    assert found.outliers == ()
    (comparison,) = angle_of(found).comparisons
    assert comparison.icc == 1.0
    assert not comparison.outside.any()
