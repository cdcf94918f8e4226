"""Work that is not finished: opening an image again goes on where it was left."""

import numpy as np
import pytest
from support.worklists import MODEL, SPINE, spine_guess, write_radiographs

from orthoangles.annotation.exporting import Review, export_case
from orthoangles.annotation.worklist import SavedWork, Worklist
from orthoangles.images import read_image

pytestmark = pytest.mark.unit


@pytest.fixture
def path(tmp_path):
    return write_radiographs(tmp_path / "images", "a.png")[0]


def again(path, reader="AB") -> Worklist:
    """The list as after a restart."""
    return Worklist(path.parent, path.parent.parent / "dataset", protocol=SPINE, reader=reader)


def opened(path, reader="AB"):
    listed, image = again(path, reader), read_image(path)
    listed.opened(listed.key(path), image.sha256)
    return listed, image.sha256


def work(state="corrected") -> SavedWork:
    points = np.random.default_rng(4).normal(size=(68, 3))
    points[5] = np.nan
    return SavedWork(points, spine_guess(), state, 12.5)


@pytest.mark.parametrize("state", ["corrected", "confirmed"])
def test_saved_work_comes_back_after_a_restart_and_shows_in_the_list(path, state):
    listed, digest = opened(path)
    saved = work(state)
    listed.save_work(digest, digest, saved)
    found = again(path).saved_work(digest, digest)
    assert np.array_equal(found.points, saved.points, equal_nan=True)
    assert np.array_equal(found.prediction.points, saved.prediction.points)
    assert (found.prediction.model, found.state, found.seconds) == (MODEL, state, 12.5)
    assert [entry.state for entry in again(path).entries()] == [state]
    assert [entry.state for entry in again(path, "CD").entries()] == ["new"]  # who is not done with it
    assert again(path, "CD").saved_work(digest, digest) is None


def test_work_by_hand_has_no_prediction(path):
    listed, digest = opened(path)
    listed.save_work(digest, digest, SavedWork(work().points, None, "corrected"))
    assert again(path).saved_work(digest, digest).prediction is None


def test_exported_work_is_read_from_the_dataset(path):
    listed, digest = opened(path)
    saved = work()
    guess = spine_guess(confidence=np.linspace(0, 1, 68), warnings=("check T5",))
    export_case(listed.dataset.folder, image=read_image(path), protocol=SPINE, points=saved.points, prediction=guess,
                review=Review("AB", "confirmed", seconds=33.0))  # fmt: skip
    found = again(path).saved_work(digest, digest)
    assert np.array_equal(found.points, saved.points, equal_nan=True)
    assert np.array_equal(found.prediction.confidence, guess.confidence)
    assert np.array_equal(found.prediction.points, guess.points)
    assert (found.prediction.warnings, found.prediction.model) == (("check T5",), MODEL)
    assert (found.state, found.seconds) == ("confirmed", 33.0)
    assert again(path, "CD").saved_work(digest, digest) is None


def test_a_change_after_the_export_takes_its_state_back_until_it_is_exported_too(path):
    listed, digest = opened(path)
    export_case(listed.dataset.folder, image=read_image(path), protocol=SPINE, points=work().points,
                review=Review("AB", "confirmed"))  # fmt: skip
    assert [entry.state for entry in listed.entries()] == ["confirmed"]
    listed.save_work(digest, digest, work())
    assert [entry.state for entry in again(path).entries()] == ["corrected"]
    listed.forget_work(digest, digest)
    listed.forget_work(digest, digest)
    assert [entry.state for entry in again(path).entries()] == ["confirmed"]


def test_a_rejection_after_the_work_counts_and_work_after_the_rejection_takes_it_back(path):
    listed, digest = opened(path)
    listed.save_work(digest, digest, work())
    listed.reject(listed.key(path), "blurred")
    assert [entry.state for entry in listed.entries()] == ["rejected"]
    listed.save_work(digest, digest, work())
    assert [entry.state for entry in listed.entries()] == ["corrected"]


@pytest.mark.parametrize(
    "damage", [lambda t: t[:50], lambda t: t.replace("T5-TL", "T5-XX"), lambda t: t.replace("corrected", "finished")]
)
def test_a_damaged_or_foreign_file_counts_as_none(path, damage):
    listed, digest = opened(path)
    listed.save_work(digest, digest, work())
    (file,) = (listed.folder / "work").rglob("*-*.json")
    file.write_text(damage(file.read_text()))
    assert again(path).saved_work(digest, digest) is None
    assert [entry.state for entry in again(path).entries()] == ["new"]
