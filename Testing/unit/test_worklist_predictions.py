"""Predictions that run ahead: which come next, and that they are found on the disk again as they were."""

from dataclasses import replace

import numpy as np
import pytest
from support.worklists import MODEL, SPINE, spine_guess, whole, write_radiographs

from orthoangles.annotation.worklist import PredictAhead, WorkClock, Worklist
from orthoangles.annotation.worklist.upright_views import rebuilt_view, view_record
from orthoangles.errors import ImageError, PredictionCancelled, PredictionError
from orthoangles.foot_views import FootView, upright
from orthoangles.images import Image, read_image
from orthoangles.subjects import Subject
from orthoangles.worker import PredictionWorker

pytestmark = pytest.mark.unit

NAMES = ("a.png", "b.png", "c.png", "d.png")


@pytest.fixture
def listed(tmp_path):
    write_radiographs(tmp_path / "images", *NAMES)
    return again(tmp_path)


def again(tmp_path, **options) -> Worklist:
    """The list as after a restart."""
    return Worklist(tmp_path / "images", tmp_path / "dataset", protocol=SPINE, reader="AB", **options)


class Network:
    """Finds a spine in every image and notes which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, image, progress, cancelled):
        self.asked.append(image.name)
        progress(0.5, "Looking for landmarks")
        return [whole(image)]


def run(ahead: PredictAhead, listed: Worklist, name: str = "") -> str | None:
    """Predict the next image on a worker's thread; its name."""
    entries = listed.entries()
    key = next((entry.key for entry in entries if entry.name == name), "")
    entry = ahead.next(entries, key)
    if entry is None:
        return None
    worker = PredictionWorker()
    worker.submit(ahead.work(entry))
    while not (report := worker.poll(0.05)).finished:
        pass
    worker.close()
    assert report.result() == entry.key
    return entry.name


def test_what_the_reader_comes_to_next_is_predicted_first(listed):
    ahead = PredictAhead(listed.predictions, Network())
    assert [run(ahead, listed, "c.png") for _ in range(5)] == ["c.png", "d.png", "a.png", "b.png", None]
    assert {entry.state for entry in listed.entries()} == {"predicted"}


def test_what_is_done_or_open_elsewhere_is_passed_over(listed):
    listed.reject(listed.key(listed.images / "b.png"), "blurred")
    other = Worklist(listed.images, listed.dataset.folder, protocol=SPINE, reader="CD")
    other.claims.take(listed.key(listed.images / "c.png"))
    ahead = PredictAhead(listed.predictions, Network())
    assert [run(ahead, listed, "a.png") for _ in range(3)] == ["a.png", "d.png", None]
    other.close()
    assert run(ahead, listed) == "c.png"


def test_a_restart_does_not_run_the_network_again(listed, tmp_path):
    network = Network()
    ahead = PredictAhead(listed.predictions, network)
    run(ahead, listed), run(ahead, listed)
    after = again(tmp_path)
    ahead = PredictAhead(after.predictions, network)
    assert [run(ahead, after) for _ in range(3)] == ["c.png", "d.png", None]
    assert network.asked == list(NAMES)


def test_a_new_model_runs_again(listed, tmp_path):
    run(PredictAhead(listed.predictions, Network()), listed)
    assert run(PredictAhead(listed.predictions, Network()), again(tmp_path, model=MODEL.sha256)) == "b.png"
    retrained = again(tmp_path, model="6" * 64)
    assert run(PredictAhead(retrained.predictions, Network()), retrained) == "a.png"


def test_an_image_that_cannot_be_used_is_noted_without_its_name_and_not_tried_again(listed, tmp_path):
    (listed.images / "a.png").write_bytes(b"broken")

    def find(image, progress, cancelled):
        raise ImageError(f"{image.name}: no foot was recognised in this image")

    ahead = PredictAhead(listed.predictions, find)
    assert [run(ahead, listed) for _ in range(5)] == [*NAMES, None]
    entries = again(tmp_path).entries()
    assert [entry.state for entry in entries] == ["new"] * 4
    assert "image: is not an image that can be read here" in entries[0].failure
    assert entries[1].failure == "image: no foot was recognised in this image"
    assert PredictAhead(again(tmp_path).predictions, find).next(entries) is None


@pytest.mark.parametrize("error", [PredictionError("the bundle is broken"), MemoryError()])
def test_other_failures_are_told_and_tried_again_after_a_restart(listed, tmp_path, error):
    def find(image, progress, cancelled):
        raise error

    ahead = PredictAhead(listed.predictions, find)
    with pytest.raises(type(error)):
        run(ahead, listed)
    assert ahead.next(listed.entries()).name == "b.png"
    assert PredictAhead(again(tmp_path).predictions, find).next(listed.entries()).name == "a.png"


def test_cancelled_work_can_be_done_later(listed):
    def find(image, progress, cancelled):
        raise PredictionCancelled("cancelled")

    ahead = PredictAhead(listed.predictions, find)
    first = ahead.next(listed.entries())
    with pytest.raises(PredictionCancelled):
        ahead.work(first)(lambda *_: None, lambda: True)
    assert ahead.next(listed.entries()).name == "b.png"
    ahead.again(first.key)
    assert ahead.next(listed.entries()).name == "a.png"


def test_a_stored_prediction_comes_back_to_the_last_bit(listed, tmp_path):
    path = listed.images / "a.png"
    image, random = read_image(path), np.random.default_rng(1)
    points, confidence = random.normal(size=(68, 3)), random.uniform(size=68)
    points[3], confidence[3] = np.nan, np.nan
    guess = spine_guess(
        points=points, confidence=confidence, foreground={"midline": random.normal(size=(5, 3))}, device="cuda:0",
        warnings=("a.png: the landmarks are close together",), seconds=0.25,
    )  # fmt: skip
    assert listed.predictions.put(listed.key(path), image, [whole(image, guess)])
    (subject,) = again(tmp_path).predictions.subjects(listed.key(path), read_image(path))
    stored = subject.prediction
    assert np.array_equal(stored.points, points, equal_nan=True)
    assert np.array_equal(stored.confidence, confidence, equal_nan=True)
    assert np.array_equal(stored.foreground["midline"], guess.foreground["midline"])
    assert (stored.model, stored.device, stored.seconds) == (MODEL, "cuda:0", 0.25)
    assert stored.warnings == ("image: the landmarks are close together",)
    assert subject.whole
    assert subject.alone


def test_a_damaged_or_foreign_file_counts_as_none(listed, tmp_path):
    path = listed.images / "a.png"
    key, image = listed.key(path), read_image(path)
    stored = listed.folder / "predictions" / f"{key}.json"
    listed.predictions.put(key, image, [whole(image)])
    whole_text = stored.read_text()
    for text in ("{", "[]", "{}", whole_text.replace("T5-TL", "T5-XX"), whole_text.replace('"points"', '"dots"')):
        stored.write_text(text)
        assert again(tmp_path).predictions.get(key) is None
        assert again(tmp_path).predictions.subjects(key, image) is None
    stored.write_text(whole_text)
    assert again(tmp_path).predictions.get(key) is not None
    other = read_image(listed.images / "b.png")
    assert listed.predictions.subjects(key, other) is None  # other pixels than those that were read


def odd_image(dtype=np.uint8) -> Image:
    """No symmetry, anisotropic, oblique: what is mixed up shows."""
    pixels = np.random.default_rng(2).integers(0, 200, (1, 30, 50)).astype(dtype)
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    return Image(pixels, (0.5, 0.7, 1.0), (3.0, -4.0, 5.0), turn, name="feet.png")


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("margin", [None, 0.0])
def test_a_view_is_rebuilt_from_its_record(turns, inverted, margin):
    image = odd_image(np.int16)
    view = upright(image, FootView("AP", turns, (12.0, 5.0, 31.0, 20.0), 0.9, inverted), margin)
    rebuilt = rebuilt_view(image, view_record(image, view))
    assert rebuilt.sha256 == view.sha256
    assert np.array_equal(rebuilt.array, view.array)
    assert rebuilt.warnings == view.warnings


def test_a_box_of_a_volume_is_rebuilt(tmp_path):
    volume = Image(np.random.default_rng(3).normal(size=(6, 8, 10)).astype(np.float32), (0.3, 0.4, 0.5), (1, 2, 3))
    box = replace(volume, array=volume.array[2:5, 1:7, 3:9], origin=volume.physical_points([(3, 1, 2)])[0])
    assert rebuilt_view(volume, view_record(volume, box)).sha256 == box.sha256


def test_a_view_that_was_resampled_is_not_stored(listed):
    path = listed.images / "a.png"
    image = read_image(path)
    finer = replace(image, spacing=(0.5, 0.5, 1.0))
    beyond = replace(image, origin=(5.0, 0.0, 0.0))
    changed = replace(image, array=image.array // 2)
    for view in (finer, beyond, changed):
        subject = Subject(view, spine_guess(), None, False, False, True)
        assert not listed.predictions.put(listed.key(path), image, [subject])
    assert listed.predictions.get(listed.key(path)) is None


def test_the_feet_of_an_image_come_back_with_their_sides(listed):
    path = listed.images / "a.png"
    image = read_image(path)
    views = [upright(image, FootView("AP", k, (3.0, 4.0, 20.0, 30.0), 0.9, False), 0.0) for k in (0, 2)]
    subjects = [
        Subject(replace(view, laterality=letter), spine_guess(at=at), side, False, False, False)
        for view, letter, side, at in zip(views, "RL", ("right", "left"), (1.0, 2.0), strict=True)
    ]
    assert listed.predictions.put(listed.key(path), image, subjects)
    stored = listed.predictions.subjects(listed.key(path), image)
    assert [(each.side, each.image.laterality, each.alone) for each in stored] == [
        ("right", "R", False), ("left", "L", False),
    ]  # fmt: skip
    assert [each.prediction.points[0, 0] for each in stored] == [1.0, 2.0]


def test_pauses_are_not_work():
    now = [0.0]
    clock = WorkClock(pause_after=30.0, now=lambda: now[0])
    clock.active()  # nothing is open yet
    assert clock.seconds == 0.0
    clock.start(5.0)
    for moment in (10.0, 25.0, 4000.0, 4001.0):
        now[0] = moment
        clock.active()
    assert clock.seconds == 5.0 + 10.0 + 15.0 + 30.0 + 1.0
    clock.stop()
    now[0] += 20.0
    clock.active()
    assert clock.seconds == 0.0
