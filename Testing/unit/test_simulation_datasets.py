"""Simulated datasets: in order, whatever the workers do; continued where they stopped; nothing said that is not so."""

import json
import os

import numpy as np
import pytest
from support.simulated_jobs import SmallJob, slow_then_quick, threads_of

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.protocols import load_protocol
from orthoangles.simulation.datasets.contact_sheet import write_contact_sheet
from orthoangles.simulation.datasets.jobs import SpineJob
from orthoangles.simulation.datasets.running import outcomes
from orthoangles.simulation.datasets.simulating import DatasetSimulation
from orthoangles.simulation.spine.drawn import simulate_spine

pytestmark = pytest.mark.unit


def simulate(folder, job, seeds, workers=1, **more):
    return DatasetSimulation(folder, job, seeds, **more).run(workers)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# --- the engine
def test_results_come_in_the_order_of_the_seeds_and_workers_have_one_thread():
    assert [each.result for each in outcomes(slow_then_quick, range(7), 3)] == [0, 10, 20, 30, 40, 50, 60]
    before = os.environ.get("OMP_NUM_THREADS")
    assert {each.result for each in outcomes(threads_of, range(3), 2)} == {"1"}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_no_more_than_two_results_a_worker_are_made_ahead(tmp_path):
    """So memory and disk stay bounded; and an interruption leaves nothing but whole cases."""
    simulation = DatasetSimulation(tmp_path / "d", SmallJob(diary=str(tmp_path)), range(200))
    seen = []

    def stop_at_three(text):
        seen.append(text)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulation.run(2, stop_at_three)
    assert [case.id for case in simulation.dataset.cases] == [
        name for seed in range(3) for name in SmallJob().case_ids(seed)
    ]
    assert not list((tmp_path / "d").glob(".writing-*"))
    assert 3 <= len([path for path in tmp_path.iterdir() if path.is_file()]) <= 3 + 2 * 2


# --- the dataset
def test_the_dataset_does_not_depend_on_the_number_of_workers(tmp_path):
    job = SmallJob(slow=(0, 3), failing=(2,))
    for workers in (1, 3):
        simulate(tmp_path / str(workers), job, range(6), workers)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "3")
    assert len(Dataset(tmp_path / "1").cases) == 10


def test_a_case_that_fails_or_kills_its_worker_is_named_and_stops_no_other(tmp_path):
    job = SmallJob(failing=(1,), crashing=(4,), deadly=(3, 6))
    report = simulate(tmp_path / "d", job, range(8), 2)
    assert [seed for seed, _ in report.failed] == [1, 3, 4, 6]
    reasons = dict(report.failed)
    assert reasons[1] == "seed 1 has no foot to stand on."
    assert reasons[4].startswith("ZeroDivisionError: a fault of ours (simulated_jobs.py:")
    assert "worker process died" in reasons[3]
    dataset = Dataset(tmp_path / "d")
    assert {case.provenance["seed"] for case in dataset.cases} == {0, 2, 5, 7}
    assert dataset.problems() == ()


def test_what_is_there_is_skipped_and_the_rest_is_made_to_the_same_bytes(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    simulate(whole, SmallJob(), range(6))
    simulate(parts, SmallJob(), range(4))
    (parts / "square-1.png").unlink()
    index = json.loads((parts / "dataset.json").read_text())
    index["cases"] = index["cases"][:-1]
    (parts / "dataset.json").write_text(json.dumps(index))
    simulation = DatasetSimulation(parts, SmallJob(), range(6))
    assert simulation.pending == (1, 3, 4, 5)
    report = simulation.run()
    assert report.skipped == 2
    assert Dataset(parts).problems() == ()
    for name in ("square-0", "square-1", "square-3-again", "square-5"):
        new, old = Dataset(parts).case(name), Dataset(whole).case(name)
        assert (parts / new.image).read_bytes() == (whole / old.image).read_bytes()
        assert (parts / new.points).read_bytes() == (whole / old.points).read_bytes()
    assert simulate(parts, SmallJob(), range(6)).simulated == ()


def test_another_recipe_replaces_the_case(tmp_path):
    simulate(tmp_path / "d", SmallJob(), range(2))
    simulate(tmp_path / "d", SmallJob(brightness=200), range(1))
    dataset = Dataset(tmp_path / "d")
    assert [case.revision for case in dataset.cases] == [2, 2, 1, 1]
    assert dataset.read_image(dataset.cases[0]).array.max() > 100
    assert dataset.problems() == ()
    runs = json.loads((tmp_path / "d" / "simulation.json").read_text())["runs"]
    assert {run["asked"]["brightness"]: run["seeds"] for run in runs} == {100: [[1, 1]], 200: [[0, 0]]}


def test_an_image_of_two_protocols_is_stored_once(tmp_path):
    simulate(tmp_path / "d", SmallJob(), range(1), 1)
    first, second = (tmp_path / "d" / case.image for case in Dataset(tmp_path / "d").cases)
    assert first.name != second.name
    assert first.samefile(second)


def test_an_image_is_copied_where_there_are_no_links(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    simulate(tmp_path / "d", SmallJob(), range(1))
    first, second = (tmp_path / "d" / case.image for case in Dataset(tmp_path / "d").cases)
    assert not first.samefile(second)
    assert first.read_bytes() == second.read_bytes()


def test_no_split_parts_a_person(tmp_path):
    simulate(tmp_path / "d", SmallJob(persons=("a", "b")), range(2), split="train")
    simulate(tmp_path / "d", SmallJob(persons=("c",)), range(2, 3), split="test")
    with pytest.raises(DatasetError, match="person 'b' already stands in the split 'train'"):
        simulate(tmp_path / "d", SmallJob(persons=("b", "d")), range(3, 4), split="test")
    dataset = Dataset(tmp_path / "d")
    assert dataset.problems() == ()
    assert {(case.group, case.split) for case in dataset.cases} == {("a+b", "train"), ("c", "test")}


def test_bodies_without_a_person_are_a_group_each(tmp_path):
    simulate(tmp_path / "d", SmallJob(persons=()), range(2))
    assert [case.group for case in Dataset(tmp_path / "d").cases] == ["simulated-square-0"] * 2 + [
        "simulated-square-1"
    ] * 2


def test_unnamed_landmarks_are_unset_and_named_ones_exact(tmp_path):
    simulate(tmp_path / "d", SmallJob(), range(1))
    dataset = Dataset(tmp_path / "d")
    points = dataset.read_points(dataset.cases[0], load_protocol("spine-ap-cobb").landmark_ids)
    rng = np.random.default_rng(0)
    rng.integers(0, 100, (24, 16), dtype=np.uint8)
    assert points[0].tolist() == [*rng.uniform(0, 15, 2), 0.0]
    assert np.isnan(points[1:]).all()


def test_the_manifest_tells_how_the_cases_were_made(tmp_path):
    simulate(tmp_path / "d", SmallJob(failing=(2,)), range(5))
    (run,) = json.loads((tmp_path / "d" / "simulation.json").read_text())["runs"]
    assert run["seeds"] == [[0, 1], [3, 4]]
    assert run["failed"] == [{"seed": 2, "reason": "seed 2 has no foot to stand on."}]
    assert run["persons"] == {"a": 8, "b": 8}
    assert run["numbers"] == {"tilt": {"least": 0.0, "mean": 2.0, "greatest": 4.0}}
    case = Dataset(tmp_path / "d").cases[0]
    assert case.provenance["parameters"] == {"tilt": 0.0, "colour": "grey"}


def test_the_contact_sheet_shows_each_image_once_with_its_landmarks(tmp_path):
    from PIL import Image

    simulate(tmp_path / "d", SpineJob((256, 120)), range(2))
    with Image.open(tmp_path / "d" / "contact-sheet.png") as sheet:
        picture = np.asarray(sheet).astype(int)
    assert picture.shape == (334, 300, 3)
    # Rings are the only colour on grey radiographs, one at each corner.
    coloured = np.abs(picture[..., 0] - picture[..., 2]) > 60
    spine = simulate_spine(0, (256, 120))
    rings = (spine.points[:, :2] + 0.5) * 320 / 256
    near = [coloured[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].any() for x, y in rings]
    assert all(near)
    assert coloured.sum() < 68 * 2 * 30
    dataset = Dataset(tmp_path / "d")
    simulate(tmp_path / "e", SmallJob(), range(3))
    doubles = Dataset(tmp_path / "e")
    write_contact_sheet(doubles, doubles.cases, most=2)
    with Image.open(tmp_path / "e" / "contact-sheet.png") as sheet:
        assert sheet.width == 2 * 213
    assert write_contact_sheet(dataset, ()) is None
