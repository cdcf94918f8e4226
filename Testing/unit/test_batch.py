"""Many images in one go: names, errors that stop nothing, and files that say the same."""

import csv
import json

import numpy as np
import pytest

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.batch import measure_files, output_names
from orthoangles.errors import PredictionError
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def protocol():
    return load_protocol("spine-ap-cobb")


@pytest.fixture(scope="module")
def spine():
    return simulate_spine(4, (400, 180), curve_angle=40.0, curve_count=2)


class TruthfulNetwork:
    """Knows where the corners are; refuses a name it was told to."""

    def __init__(self, protocol, points, refused=(), broken=()):
        self._protocol, self._points, self._refused, self._broken = protocol, points, refused, broken

    def predict(self, image):
        if image.name in self._refused:
            raise PredictionError(f"{image.name}: no spine found.")
        if image.name in self._broken:
            raise RuntimeError("the secret name of the patient")
        return Prediction(
            self._protocol.id, self._protocol.landmark_ids, self._points, np.full(68, 0.8), np.full(68, 0.5),
            ModelInfo("truth", "1", "0" * 64), warnings=("a warning of the network",),
        )  # fmt: skip


@pytest.fixture
def network(protocol, spine):
    return TruthfulNetwork(protocol, spine.points)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.png"], ["a"]),
        (["x/a.png", "y/a.png", "a.dcm"], ["a", "a-2", "a-3"]),
        (["a.png", "b/a.png", "a-2.png"], ["a", "a-3", "a-2"]),
        (["A.png", "a.png"], ["A", "a-2"]),
        (["scan.nii.gz", "1.2.840.10008", "1.2.840.10009", "no_ending"],
         ["scan", "1.2.840.10008", "1.2.840.10009", "no_ending"]),
        (["case.v2.png"], ["case.v2"]),
    ],
)  # fmt: skip
def test_no_two_images_share_a_name(tmp_path, paths, names):
    assert output_names([tmp_path / path for path in paths]) == names


def test_all_files_are_written_and_say_the_same(tmp_path, protocol, spine, network):
    spine.write_png(tmp_path / "one.png")
    (result,) = measure_files([tmp_path / "one.png"], protocol, tmp_path / "out", backend=network)
    assert result.error is None
    assert [path.name for path in result.files] == [
        "one.mrk.json", "one.measurements.json", "one.measurements.csv", "one.overlay.png",
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in result.files}
    content = json.loads(result.files[1].read_text())
    assert content == result.record
    assert content["image"] == "one.png"
    assert content["model"] == {"name": "truth", "version": "1", "sha256": "0" * 64}
    assert "a warning of the network" in content["warnings"]
    assert content["landmarks"][0] == {"id": "T1-TL", "position": spine.points[0].tolist(), "confidence": 0.8}
    markups = read_markups(result.files[0]).ordered(protocol.landmark_ids)
    assert np.array_equal(markups, spine.points)
    rows = list(csv.DictReader(result.files[2].read_text(encoding="utf-8-sig").splitlines()))
    assert [row["id"] for row in rows] == [entry["id"] for entry in content["measurements"]]
    for row, entry in zip(rows, content["measurements"], strict=True):
        assert row["value"] == ("" if entry["value"] is None else str(entry["value"]))
    largest = next(entry for entry in content["measurements"] if entry["id"] == "cobb-clinical-major")
    assert largest["value"] == pytest.approx(40, abs=6)
    assert largest["interval"][0] < largest["value"] < largest["interval"][1]


def test_the_overlay_is_a_picture_of_the_image_with_lines_on_it(tmp_path, protocol, spine, network):
    from matplotlib.image import imread

    spine.write_png(tmp_path / "one.png")
    (result,) = measure_files([tmp_path / "one.png"], protocol, tmp_path / "out", backend=network)
    picture = imread(result.files[3])
    assert picture.shape[:2] == (1000, 450)
    colour = np.ptp(picture[..., :3], axis=2) > 0.2
    assert 0.002 < colour.mean() < 0.2


def test_bad_files_are_named_and_the_others_go_on(tmp_path, protocol, spine):
    for name in ("good.png", "refused.png", "odd.png", "last.png"):
        spine.write_png(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "text.dcm").write_text("no DICOM")
    names = ["good.png", "broken.png", "gone.png", "refused.png", "odd.png", "text.dcm", "last.png"]
    network = TruthfulNetwork(protocol, spine.points, refused=("refused.png",), broken=("odd.png",))
    unexpected = []
    results = list(
        measure_files(
            [tmp_path / name for name in names], protocol, tmp_path / "out", backend=network,
            on_unexpected=lambda name, error: unexpected.append((name, str(error))),
        )
    )  # fmt: skip
    assert [result.name for result in results] == names
    assert [result.name for result in results if result.error is None] == ["good.png", "last.png"]
    errors = {result.name: result.error for result in results if result.error}
    assert errors["refused.png"] == "refused.png: no spine found."
    assert errors["odd.png"] == "odd.png: unexpected error (RuntimeError)."
    assert unexpected == [("odd.png", "the secret name of the patient")]
    for name, error in errors.items():
        assert name in error
        assert str(tmp_path) not in error
    assert {path.name.split(".")[0] for path in (tmp_path / "out").iterdir()} == {"good", "last"}


def test_images_of_one_name_do_not_overwrite_each_other(tmp_path, protocol, spine, network):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        spine.write_png(tmp_path / folder / "x.png")
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    first, second = measure_files(paths, protocol, tmp_path / "out", backend=network)
    assert not set(first.files) & set(second.files)
    assert all(path.exists() for path in first.files + second.files)


def test_landmarks_of_a_file_are_measured_without_a_network(tmp_path, protocol, spine):
    spine.write_png(tmp_path / "one.png")
    points = spine.points.copy()
    points[3] = np.nan
    write_markups(tmp_path / "mine.mrk.json", protocol.landmark_ids, points)
    (result,) = measure_files([tmp_path / "one.png"], protocol, tmp_path / "out", landmarks=tmp_path / "mine.mrk.json")
    assert result.record["model"] is None
    assert result.record["landmarks"][3] == {"id": "T1-BR", "position": None, "confidence": None}
    values = {entry["id"]: entry for entry in result.record["measurements"]}
    assert values["cobb-aasce-max"]["value"] is None
    assert values["cobb-aasce-max"]["reason"]


def test_a_folder_of_landmarks_serves_each_image_its_own(tmp_path, protocol, spine):
    for name in ("one", "two"):
        spine.write_png(tmp_path / f"{name}.png")
    write_markups(tmp_path / "one.mrk.json", protocol.landmark_ids, spine.points)
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    one, two = measure_files(paths, protocol, tmp_path / "out", landmarks=tmp_path)
    assert one.error is None
    assert two.error == f"two.png: folder {tmp_path.name} holds no two.mrk.json."


def test_the_source_of_landmarks_must_be_clear(tmp_path, protocol, network):
    for options in ({}, {"backend": network, "landmarks": tmp_path}):
        with pytest.raises(ValueError, match="one of the two"):
            list(measure_files([tmp_path / "a.png"], protocol, tmp_path, **options))


def test_a_volume_is_no_radiograph(tmp_path, protocol, network):
    import SimpleITK

    rng = np.random.default_rng(0)
    volume = SimpleITK.GetImageFromArray(rng.integers(0, 99, (20, 40, 30)).astype(np.int16))
    SimpleITK.WriteImage(volume, str(tmp_path / "ct.nrrd"))
    (result,) = measure_files([tmp_path / "ct.nrrd"], protocol, tmp_path / "out", backend=network)
    assert result.error.startswith("ct.nrrd: ")
    assert not list((tmp_path / "out").iterdir())
