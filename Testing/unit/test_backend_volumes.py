"""The backend on volumes: geometry, sides, two feet, missing landmarks, progress, cancellation; with known blobs."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support import blob_feet
from support.blob_feet import Scan, left_foot, right_foot, write_bundle

from orthoangles.errors import ImageError, PredictionCancelled
from orthoangles.images import Image
from orthoangles.predicting import Backend
from orthoangles.protocols import load_protocol
from orthoangles.subjects import find_subjects

pytestmark = pytest.mark.unit

PROTOCOL = load_protocol("foot-wbct")
SCANS = {
    "axial": Scan(),
    "anisotropic": Scan(spacing=(1.6, 1.6, 2.5)),
    "sagittal floats": Scan(direction=((0, 0, 1.0), (1.0, 0, 0), (0, -1.0, 0)), dtype=np.float32),
    "oblique on a floor": Scan(
        spacing=(2.4, 2.4, 2.4), direction=Rotation.from_euler("zx", (35, 20), degrees=True).as_matrix(), floor=10.0
    ),
}


@pytest.fixture(scope="module")
def a_backend(tmp_path_factory):
    return Backend(write_bundle(tmp_path_factory.mktemp("bundle") / "blobs"), "cpu")


@pytest.fixture(scope="module")
def a_volume():
    return Scan().of(right_foot())


def subjects(backend, image: Image):
    return tuple(find_subjects(backend, PROTOCOL, image, lambda view, *_: backend.predict(view)))


def off(prediction, points) -> np.ndarray:
    """(22,) mm from where the landmarks are."""
    return np.linalg.norm(prediction.points - points, axis=1)


@pytest.mark.parametrize(("side", "points"), [("right", right_foot()), ("left", left_foot())])
@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_landmarks_come_back_where_they_are_whatever_the_grid_and_the_side(a_backend, scan, side, points):
    image = scan.of(points)
    (subject,) = subjects(a_backend, image)
    prediction = subject.prediction
    assert (subject.side, prediction.side, subject.stated, subject.whole) == (side, side, False, True)
    assert prediction.landmark_ids == PROTOCOL.landmark_ids
    assert off(prediction, points).max() < 1.2
    assert (prediction.confidence == 0.9).all()
    assert (prediction.spread == 0.5).all()
    assert prediction.warnings == ()
    assert prediction.model.name == "blobs"
    assert prediction.seconds > 0


def test_two_feet_are_measured_each_on_its_own(a_backend):
    feet = {"right": right_foot(), "left": left_foot(100.0)}
    found = {subject.side: subject for subject in subjects(a_backend, Scan(floor=10.0).of(*feet.values()))}
    assert list(found) == ["right", "left"]
    for side, points in feet.items():
        assert off(found[side].prediction, points).max() < 1.2
        assert found[side].image.laterality == {"right": "R", "left": "L"}[side]
        assert found[side].prediction.warnings == ()


def test_a_mirrored_volume_of_two_feet_is_doubted(a_backend):
    image = Scan().of(right_foot(), left_foot(100.0))
    mirrored = dataclasses.replace(image, array=np.ascontiguousarray(image.array[:, ::-1]))
    for subject in subjects(a_backend, mirrored):
        assert "either it is mirrored or the side is wrong" in subject.prediction.warnings[-1]


@pytest.mark.parametrize(("stated", "warned"), [("R", False), ("L", True), ("B", False)])
def test_a_stated_side_counts_and_is_doubted_where_it_is_clearly_wrong(a_backend, a_volume, stated, warned):
    (subject,) = subjects(a_backend, dataclasses.replace(a_volume, laterality=stated))
    assert subject.side == ("left" if stated == "L" else "right")
    assert subject.prediction.side == "right"
    assert off(subject.prediction, right_foot()).max() < 1.2
    doubts = [text for text in subject.prediction.warnings if "look like a right foot" in text]
    assert len(doubts) == warned


@pytest.mark.parametrize(("stated", "read"), [("R", "right"), ("L", "left"), (None, "left")])
def test_a_stated_side_is_kept_where_the_network_knows_both_about_as_well(
    a_backend, a_volume, monkeypatch, stated, read
):
    scores = iter((0.5, 0.6))
    monkeypatch.setattr(blob_feet.BlobFinder, "coarse", lambda *_: blob_feet.Coarse(next(scores)))
    monkeypatch.setattr(blob_feet.BlobFinder, "__call__", lambda self, view, *_: blob_feet.decoded(self.points(view)))
    assert a_backend.predict(dataclasses.replace(a_volume, laterality=stated)).side == read


def test_landmarks_beyond_the_volume_are_missing_and_said(a_backend):
    ankle = right_foot()
    missing = [name in ("M1b", "M2b", "M5", "P1", "P2") for name in PROTOCOL.landmark_ids]
    ankle[missing] = np.nan
    prediction = a_backend.predict(Scan().of(ankle))
    assert np.isnan(prediction.points[missing]).all()
    assert off(prediction, ankle)[~np.array(missing)].max() < 1.2
    assert (prediction.confidence[missing] == 0).all()
    assert prediction.warnings == ("not found in the volume: M1b, M2b, P1, P2, M5",)


def test_a_volume_in_which_the_network_knows_nothing_is_refused(a_backend, a_volume, monkeypatch):
    monkeypatch.setattr(blob_feet, "CODES", blob_feet.CODES + 4000)
    monkeypatch.setattr(blob_feet.BlobFinder, "coarse", lambda *_: blob_feet.Coarse(0.5))
    with pytest.raises(ImageError, match=r"feet\.nrrd: no foot .* found 0 of 22 landmarks"):
        a_backend.predict(a_volume)


def test_values_that_are_no_hounsfield_units_are_read_all_the_same_and_said(a_backend):
    prediction = a_backend.predict(Scan(offset=1024, dtype=np.uint16).of(right_foot()))
    assert off(prediction, right_foot()).max() < 1.2
    assert prediction.warnings == ("grey values are not Hounsfield units: 24 was taken for air",)


def test_a_radiograph_and_noise_are_refused(a_backend):
    noise = np.random.default_rng(0).normal(0, 300, (40, 50, 60)).astype(np.int16)
    for array, words in ((noise, "no body stands out"), (noise[:1], "this is a flat image")):
        image = Image(array, spacing=(2, 2, 2), spacing_source="test", name="x.nrrd")
        for call in (a_backend.views, a_backend.predict):
            with pytest.raises(ImageError, match=rf"^x\.nrrd: .*{words}"):
                call(image)


def test_progress_rises_through_the_stages(a_backend, a_volume):
    seen = []
    a_backend.predict(a_volume, progress=lambda fraction, message: seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert list(dict.fromkeys(message for _, message in seen)) == [
        "Finding the foot in the volume",
        "Looking over the whole foot",
        "Looking closely at each joint",
        "Placing the landmarks",
        "Done",
    ]


@pytest.mark.parametrize("after", range(0, 24, 4))
def test_cancel_stops_at_every_stage_and_between_layers(a_backend, a_volume, after):
    asked = []

    def cancelled():
        asked.append(None)
        return len(asked) > after

    with pytest.raises(PredictionCancelled):
        a_backend.predict(a_volume, cancelled=cancelled)
    assert len(asked) == after + 1


def test_the_backend_is_usable_after_a_cancel(a_backend, a_volume):
    with pytest.raises(PredictionCancelled):
        a_backend.predict(a_volume, cancelled=lambda: True)
    assert off(a_backend.predict(a_volume), right_foot()).max() < 1.2
    assert not [hook for module in a_backend.network.modules() for hook in module._forward_pre_hooks.values()]
