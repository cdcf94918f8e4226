"""From a dataset on disk through a stand-in network to figures, plots and files."""

import csv
import json

import numpy as np
import pytest
import SimpleITK
from support.feet import hallux_foot, on_film, ordered
from support.labelled_feet import COLUMNS, GREYS, PROTOCOL, StandIn, foot, labelled_feet, measured, write_picture

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError, PredictionError
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.training.landmark_cases import measured_cases, protocol_cases
from orthoangles.training.landmark_evaluation import MICRO, evaluate_landmarks, summarise
from orthoangles.training.landmark_tables import plain

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def feet(tmp_path_factory):
    return labelled_feet(tmp_path_factory.mktemp("feet"))


def write_film(path):
    film = SimpleITK.GetImageFromArray(GREYS[None])
    film.SetSpacing((0.5, 0.5, 1.0))
    SimpleITK.WriteImage(film, str(path))


def by_two_pixels(name, points):
    return points + np.array([0.0, 2.0, 0.0])


def test_a_shift_of_two_pixels_is_counted_in_pixels_millimetres_and_shares_of_the_longer_side(feet):
    figures = summarise(measured(feet, by_two_pixels), PROTOCOL)["landmarks"]
    assert figures["mre_px"] == pytest.approx(2.0)
    assert figures["mre_mm"] == pytest.approx(0.5)
    assert figures["nme"] == pytest.approx(2 / COLUMNS)
    assert figures["nme_interval"] == pytest.approx((2 / COLUMNS, 2 / COLUMNS))
    assert figures["sdr"] == {"1": 1.0, "2": 1.0, "3": 1.0, "4": 1.0}
    assert (figures["labelled"], figures["hidden"], figures["not_found"]) == (65, 1, 0)


def test_a_hidden_landmark_counts_and_figures_without_it_stand_beside(feet):
    def miss_the_hidden_one(name, points):
        if name == "foot-1":
            points[PROTOCOL.index("L4"), 0] += 40.0
        return points

    figures = summarise(measured(feet, miss_the_hidden_one), PROTOCOL)["landmarks"]
    assert figures["nme"] == pytest.approx(40 / COLUMNS / 65)
    assert figures["nme_without_hidden"] == 0.0
    assert figures["each"]["L4"]["sdr_2"] == pytest.approx(5 / 6)


def test_a_landmark_that_was_not_found_fails_every_limit_and_takes_its_angles_along(feet):
    def lose_one(name, points):
        points[PROTOCOL.index("L1")] = np.nan
        return points

    summary = summarise(measured(feet, lose_one), PROTOCOL)
    assert summary["landmarks"]["not_found"] == 6
    assert summary["landmarks"]["each"]["L1"]["sdr_2"] == 0.0
    assert summary["landmarks"]["mre_px"] == 0.0
    meary, pitch = summary["angles"]["meary-angle"], summary["angles"]["calcaneal-pitch"]
    assert (meary["not_measured"], meary["within_5"]) == (6, 0.0)
    assert (pitch["not_measured"], pitch["within_3"]) == (0, 1.0)


def test_a_landmark_off_the_image_is_no_truth_and_neither_are_its_angles(feet):
    figures = summarise(measured(feet, lambda name, points: np.nan_to_num(points)), PROTOCOL)
    assert figures["landmarks"]["each"]["L7"]["nme"] == 0.0
    assert figures["angles"]["calcaneal-pitch-ground"]["cases"] == 5
    assert figures["angles"]["calcaneal-pitch"]["cases"] == 6


def test_a_refused_image_counts_as_one_on_which_nothing_was_found(feet):
    class Refusing(StandIn):
        def predict(self, image):
            if image.name == "foot-4":
                raise PredictionError("this is not a lateral view")
            return super().predict(image)

    cases = measured_cases(Refusing(feet), protocol_cases([feet.folder], PROTOCOL.id))
    summary = summarise(cases, PROTOCOL)
    assert (summary["refused"], summary["landmarks"]["not_found"]) == (1, 11)
    assert summary["angles"]["meary-angle"]["within_3"] == pytest.approx(5 / 6)
    # The flat foot that was refused is a miss.
    assert summary["findings"]["pes-planus"]["false_negative"] == 1
    assert "not a lateral view" in cases[4].warnings[0]


def test_findings_follow_the_rule_on_true_landmarks(feet):
    summary = summarise(measured(feet), PROTOCOL)
    planus, cavus = summary["findings"]["pes-planus"], summary["findings"]["pes-cavus"]
    assert (planus["true_positive"], planus["true_negative"], planus["accuracy"]) == (2, 4, 1.0)
    assert (cavus["true_positive"], cavus["true_negative"]) == (1, 5)
    pooled = summary["findings"][MICRO]
    assert (pooled["true_positive"], pooled["true_negative"], pooled["ppv"]) == (3, 9, 1.0)


def test_spread_and_scale_follow_the_spacing_of_the_image(tmp_path):
    store = Dataset(tmp_path / "films")
    points = foot(5.0) * 0.5
    store.add_case("film", image_suffix=".nrrd", write_image=write_film, protocol=PROTOCOL, points=points, group="p")
    (case,) = measured(store, lambda name, points: points + np.array([1.0, 0.0, 0.0]), spread=1.0)
    assert case.errors == pytest.approx(2.0)
    assert case.spread == pytest.approx(2.0)
    assert case.mm_per_pixel == pytest.approx(0.5)


def test_angles_take_the_foreground_that_the_network_gives(tmp_path):
    protocol = load_protocol("foot-ap-hallux")
    store = Dataset(tmp_path / "hallux")
    points = on_film(ordered(protocol.id, hallux_foot(30.0, 12.0)))
    store.add_case("foot", image_suffix=".png", write_image=write_picture, protocol=protocol, points=points, group="p")
    axis = next(axis for axis in protocol.axes if axis.kind == "fit" and axis.points[0].startswith("PP1"))
    handles = points[[protocol.index(name) for name in axis.points]]
    turned = np.radians(20.0)
    middle = handles.mean(axis=0)
    along = np.linspace(-14, 14, 200)[:, None] * (handles[-1] - handles[0]) / np.linalg.norm(handles[-1] - handles[0])
    matrix = np.array([[np.cos(turned), -np.sin(turned), 0], [np.sin(turned), np.cos(turned), 0], [0, 0, 1]])

    class WithForeground(StandIn):
        def __init__(self):
            self.protocol, self.model = protocol, ModelInfo("stand-in", "1", "0" * 64)

        def predict(self, image):
            unknown = np.full(len(points), np.nan)
            foreground = {axis.id: middle + along @ matrix.T}
            return Prediction(
                protocol.id, protocol.landmark_ids, points, unknown + 1, unknown, self.model, foreground=foreground
            )

    (case,) = measured_cases(WithForeground(), protocol_cases([store.folder], protocol.id))
    assert case.truth["hallux-valgus-angle"] == pytest.approx(30.0, abs=1e-6)
    assert abs(case.predicted["hallux-valgus-angle"] - 30.0) == pytest.approx(20.0, abs=0.5)


def test_stated_and_observed_errors_of_a_calibrated_network_agree(feet):
    rng = np.random.default_rng(5)
    noisy = [
        case
        for _ in range(15)
        for case in measured(
            feet, lambda name, points: points + np.array([1, 1, 0]) * rng.normal(0, 2, points.shape), spread=2.0
        )
    ]
    calibration = summarise(noisy, PROTOCOL)["calibration"]
    assert calibration["observed"] == pytest.approx(calibration["expected"], rel=0.08)
    assert calibration["point_coverage"]["90"] == pytest.approx(0.9, abs=0.04)
    assert calibration["angle_coverage"]["95"] == pytest.approx(0.95, abs=0.04)


def test_everything_is_written_and_what_is_unknown_is_null(feet, tmp_path, capsys):
    cases = protocol_cases([feet.folder], PROTOCOL.id)
    evaluate_landmarks(StandIn(feet, spread=float("nan")), cases, tmp_path / "out", {"training": {"steps": 3}})
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["calibration"]["expected"] is None
    assert summary["training"] == {"steps": 3}
    assert summary["persons"] == 5
    for name in ("calibration", "agreement", "landmarks"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 5000
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| meary-angle | 0.00 ± 0.00" in text
    assert text in capsys.readouterr().out
    with (tmp_path / "out" / "cases.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["labelled pes-planus"] for row in rows] == ["0", "1", "0", "0", "1", "0"]
    assert float(rows[1]["predicted meary-angle"]) == pytest.approx(12.0)


def test_a_dataset_without_cases_of_the_protocol_is_named(feet):
    with pytest.raises(DatasetError, match="foot-ap"):
        protocol_cases([feet.folder], "foot-ap")


def test_numbers_become_json_types():
    content = plain({"a": (np.float64(1.5), float("inf")), "b": np.int64(2), "c": {"d": float("nan")}})
    assert json.dumps(content, allow_nan=False) == '{"a": [1.5, null], "b": 2, "c": {"d": null}}'
