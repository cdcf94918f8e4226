"""Batches that go on where an earlier call was stopped."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import batch_jobs
from support.batch_jobs import StandIn, log_of, seen
from support.worklists import SPINE, write_radiographs

from orthoangles.annotation.markups_json import write_markups
from orthoangles.batch_many import Work, measure_many

pytestmark = pytest.mark.unit

NAMES = ("a.png", "b.png", "c.png")
TESTING = Path(__file__).resolve().parents[1]


class OtherModel(StandIn):
    def model(self):
        return {"stand-in": "6"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with ``images`` and ``out``, in which all of them are measured."""
    folder = tmp_path_factory.mktemp("finished")
    paths = write_radiographs(folder / "images", *NAMES)
    results = list(measure_many(paths, StandIn(SPINE.id, folder / "out")))
    assert not any(result.earlier or result.error for result in results)
    return folder


@pytest.fixture
def place(finished, tmp_path):
    """A copy of it that a test may change."""
    shutil.copytree(finished, tmp_path / "copy")
    log_of(tmp_path / "copy" / "out").unlink()
    return tmp_path / "copy"


def measured_again(place, work=None, **options) -> list[str]:
    """Names of the images that a second call looks at; the others' results must be those of the first."""
    work = work or StandIn(SPINE.id, place / "out")
    results = list(measure_many(sorted((place / "images").iterdir()), work, **options))
    redone = [result.name for result in results if not result.earlier]
    assert sorted(seen(work.output)) == redone
    for result in results:
        written = next(path for path in result.files if path.name.endswith(".measurements.json"))
        assert json.loads(written.read_text()) == result.record
    return redone


def test_what_is_finished_is_not_measured_again(place):
    before = {path.name: path.read_bytes() for path in (place / "out").iterdir() if path.is_file()}
    assert measured_again(place) == []
    assert {path.name: path.read_bytes() for path in (place / "out").iterdir() if path.is_file()} == before


def test_it_is_on_demand(place):
    assert measured_again(place, again=True) == list(NAMES)


def other_pixels(place):
    shutil.copy(place / "images" / "c.png", place / "images" / "b.png")


def missing_picture(place):
    (place / "out" / "b.overlay.png").unlink()


def other_record(place):
    path = place / "out" / "b.measurements.json"
    path.write_text(path.read_text().replace("1", "2", 1))


def half_record(place):
    path = place / "out" / "b.measurements.json"
    path.write_bytes(path.read_bytes()[:500])


def half_note(place):
    path = place / "out" / ".finished" / "b.json"
    path.write_bytes(path.read_bytes()[:50])


def foreign_note(place):
    (place / "out" / ".finished" / "b.json").write_text("[1, 2]")


def note_of_another(place):
    shutil.copy(place / "out" / ".finished" / "a.json", place / "out" / ".finished" / "b.json")


def killed_before_the_note(place):
    (place / "out" / ".finished" / "b.json").unlink()


@pytest.mark.parametrize(
    "change",
    [other_pixels, missing_picture, other_record, half_record, half_note, foreign_note, note_of_another,
     killed_before_the_note],
)  # fmt: skip
def test_only_what_changed_is_measured_again(place, change):
    change(place)
    assert measured_again(place) == ["b.png"]
    log_of(place / "out").unlink()
    assert measured_again(place) == []


def test_another_model_measures_all_again(place):
    assert measured_again(place, OtherModel(SPINE.id, place / "out")) == list(NAMES)


def test_another_protocol_measures_all_again(place, tmp_path):
    from orthoangles.paths import protocols_dir

    text = (protocols_dir() / f"{SPINE.id}.json").read_text()
    version = json.loads(text)["version"]
    other = tmp_path / "mine.json"
    other.write_text(text.replace(f'"version": "{version}"', '"version": "99.0.0"'))
    assert measured_again(place, StandIn(str(other), place / "out")) == list(NAMES)


def test_another_option_measures_all_again(place):
    work = replace(StandIn(SPINE.id, place / "out"), ground="landmarks")
    assert measured_again(place, work) == list(NAMES)


def test_a_new_image_and_a_new_name_are_measured_and_the_others_not(place):
    shutil.copy(place / "images" / "c.png", place / "images" / "d.png")
    (place / "images" / "a.png").rename(place / "images" / "e.png")
    assert measured_again(place) == ["d.png", "e.png"]


def test_failures_are_tried_again(place):
    (place / "images" / "b.png").write_text("no picture")
    paths = sorted((place / "images").iterdir())
    results = list(measure_many(paths, StandIn(SPINE.id, place / "out")))
    assert [bool(result.error) for result in results] == [False, True, False]
    write_radiographs(place / "images", "x.png", "b.png")
    (place / "images" / "x.png").unlink()
    assert measured_again(place) == ["b.png"]
    assert (place / "out" / "failures.csv").read_text(encoding="utf-8-sig").splitlines() == ["image,result,reason"]


def test_landmarks_moved_by_hand_are_measured_again(tmp_path):
    paths = write_radiographs(tmp_path / "images", "a.png", "b.png")
    points = np.random.default_rng(1).uniform(2, 38, (68, 3)) * (1, 1, 0)
    for name in "ab":
        write_markups(tmp_path / f"{name}.mrk.json", SPINE.landmark_ids, points)
    work = Work(SPINE.id, tmp_path / "out", landmarks=tmp_path)
    assert [result.earlier for result in measure_many(paths, work)] == [False, False]
    write_markups(tmp_path / "b.mrk.json", SPINE.landmark_ids, points + np.array([0.5, 0, 0]))
    assert [result.earlier for result in measure_many(paths, work)] == [True, False]


def test_a_call_killed_time_and_again_comes_to_the_same_end(tmp_path):
    """Killed six times with its workers at work; what it had noted as done is never looked at again."""
    names = [f"{k:02}.png" for k in range(20)]
    paths = write_radiographs(tmp_path / "images", *names)
    expected = StandIn(SPINE.id, tmp_path / "expected")
    list(measure_many(paths, expected, workers=2))
    output, moments = tmp_path / "out", random.Random(3)
    kills, done = 0, {}
    for number in range(2, 14, 2):
        call = start(tmp_path / "images", output)
        wait_for_notes(call, output, number)
        time.sleep(moments.uniform(0, 0.15))
        if call.poll() is None:
            call.send_signal(signal.SIGKILL)
            kills += 1
        call.wait(60)
        done = looks_at_noted(output, done)
        read_noted(output, [path for path in paths if path.stem in done])
    assert kills >= 5
    call = start(tmp_path / "images", output)
    assert call.wait(120) == 0
    assert set(looks_at_noted(output, done)) == {path.stem for path in paths}
    assert not list(output.rglob(".writing-*"))
    for path in sorted(expected.output.iterdir()):
        if path.is_file():
            assert (output / path.name).read_bytes() == path.read_bytes(), path.name


def looks_at_noted(output, before):
    """How often each image that counts as done was looked at: as often as ``before``, where it did then."""
    wait_for_orphans(output)
    looks = {name: seen(output)[f"{name}.png"] for name in notes(output)}
    assert all(looks.values())
    assert {name: looks.get(name) for name in before} == before
    return looks


def read_noted(output, paths):
    """What counts as done is whole."""
    results = list(measure_many(paths, StandIn(SPINE.id, output)))
    assert len(results) == len(paths)
    assert all(result.earlier for result in results)


def wait_for_orphans(output):
    """The workers of a killed call finish their image and end."""
    pids = {pid for pid, _, _ in batch_jobs.looked_at(output)}
    end = time.monotonic() + 30
    while time.monotonic() < end and any(alive(pid) for pid in pids):
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def notes(output: Path) -> set[str]:
    return {path.stem for path in (output / ".finished").glob("*.json")}


def start(images: Path, output: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTING), str(TESTING.parent)])}
    command = [sys.executable, "-m", "support.batch_jobs", images, output, "2"]
    return subprocess.Popen([*map(str, command)], env=environment)


def wait_for_notes(call: subprocess.Popen, output: Path, number: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and call.poll() is None and len(notes(output)) < number:
        time.sleep(0.01)
