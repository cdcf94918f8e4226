"""Batches in several processes: order, images that kill their process, tables, memory."""

import csv
import dataclasses
from pathlib import Path
from statistics import median

import pytest
from support.batch_jobs import DiesAtLoading, StandIn, Unloadable, looked_at, resident_kib, seen
from support.worklists import SPINE, write_radiographs

from orthoangles.batch_finished import writing_alone
from orthoangles.batch_many import measure_many
from orthoangles.errors import OrthoAnglesError, PredictionError

pytestmark = pytest.mark.unit

BAD = ("killed.png", "broken.png", "exits.png", "refused.png", "odd.png", "gone.png")
GOOD = ("slow.png", "a.png", "b.png", "c.png", "last.png")
NAMES = ("slow.png", "killed.png", "a.png", "broken.png", "exits.png", "b.png", "refused.png", "odd.png", "c.png",
         "gone.png", "last.png")  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Small radiographs; one is no picture and one is not there."""
    folder = tmp_path_factory.mktemp("images")
    write_radiographs(folder, *(name for name in NAMES if name not in ("broken.png", "gone.png")))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return [folder / name for name in NAMES]


@pytest.fixture(scope="module")
def by_workers(images, tmp_path_factory):
    """Number of workers -> results and output folder."""
    folder = tmp_path_factory.mktemp("out")
    done = {}
    for workers in (1, 2, 4):
        work = StandIn(SPINE.id, folder / str(workers))
        done[workers] = (list(measure_many(images, work, workers=workers)), work.output)
    return done


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_an_image_that_kills_its_process_is_named_and_the_others_are_measured(by_workers, workers):
    results, output = by_workers[workers]
    assert [result.name for result in results] == list(NAMES)
    assert [result.index for result in results] == list(range(len(NAMES)))
    assert {result.name for result in results if result.error is None} == set(GOOD)
    errors = {result.name: result.error for result in results if result.error}
    assert "was killed (SIGKILL)" in errors["killed.png"]
    assert "ended unexpectedly (exit code 3)" in errors["exits.png"]
    assert errors["refused.png"] == "refused.png: no spine found."
    assert errors["odd.png"] == "odd.png: unexpected error (RuntimeError)."
    for name, error in errors.items():
        assert error.startswith(name)
    assert set(seen(output)) == set(NAMES) - {"broken.png", "gone.png"}
    assert set(seen(output).values()) == {1}


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_no_result(by_workers, workers):
    one, out = by_workers[1]
    many, other = by_workers[workers]
    for expected, result in zip(one, many, strict=True):
        assert (result.name, result.index, result.error, result.record) == (
            expected.name, expected.index, expected.error, expected.record,
        )  # fmt: skip
    assert content(out) == content(other)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_several_processes_share_the_images(by_workers):
    processes = {process for process, _, _ in looked_at(by_workers[4][1])}
    # Two of the processes die with their image and are replaced.
    assert len(processes) >= 4
    assert len({process for process, _, _ in looked_at(by_workers[1][1])}) == 3


def test_one_table_for_all_and_one_of_failures(by_workers):
    results, output = by_workers[2]
    table = rows(output / "measurements.csv")
    expected = [(r.name, e["id"]) for r in results if r.record for e in r.record["measurements"]]
    assert [(row["image"], row["id"]) for row in table] == expected
    for result in results:
        own = rows(output / f"{result.name[:-4]}.measurements.csv") if result.record else []
        mine = [row for row in table if row["result"] == result.name[:-4]]
        assert mine == [{"result": result.name[:-4], **row} for row in own]
    failures = rows(output / "failures.csv")
    assert [(row["image"], row["reason"]) for row in failures] == [(r.name, r.error) for r in results if r.error]
    assert [row["result"] for row in failures] == [row["image"][:-4] for row in failures]
    assert not list(output.rglob(".writing-*"))


def test_tables_tell_images_of_one_name_apart(tmp_path):
    paths = [write_radiographs(tmp_path / folder, "x.png")[0] for folder in "ab"]
    work = StandIn(SPINE.id, tmp_path / "out")
    list(measure_many([*paths, tmp_path / "c" / "x.png"], work))
    assert list(dict.fromkeys(row["result"] for row in rows(work.output / "measurements.csv"))) == ["x", "x-2"]
    assert [row["result"] for row in rows(work.output / "failures.csv")] == ["x-3"]


def test_a_network_that_cannot_be_loaded_is_no_fault_of_an_image(images, tmp_path):
    with pytest.raises(PredictionError, match="the weights are not here"):
        list(measure_many(images, Unloadable(SPINE.id, tmp_path / "out"), workers=2))
    with pytest.raises(PredictionError, match=r"no process could be started.*exit code 7"):
        list(measure_many(images, DiesAtLoading(SPINE.id, tmp_path / "out"), workers=2))
    assert not list((tmp_path / "out").glob("*.csv"))


def test_two_calls_do_not_write_to_one_folder(images, tmp_path):
    work = StandIn(SPINE.id, tmp_path / "out")
    with writing_alone(work.output), pytest.raises(OrthoAnglesError, match=r"out: another call .* is writing there"):
        list(measure_many(images, work))
    assert not seen(work.output)


def test_a_call_that_is_given_up_keeps_what_is_done_and_ends_its_processes(images, tmp_path):
    import multiprocessing

    work = StandIn(SPINE.id, tmp_path / "out")
    results = measure_many([images[2], *images[5:]], work, workers=2)
    assert next(results).name == "a.png"
    results.close()
    assert not multiprocessing.active_children()
    assert not list(work.output.rglob(".writing-*"))
    (again,) = measure_many([images[2]], work)
    assert again.earlier


def test_work_is_plain_words():
    """Nothing of it is a network or an open file: it reaches a process by pickling."""
    import pickle

    work = StandIn(SPINE.id, Path("out"), scene=True)
    assert pickle.loads(pickle.dumps(work)) == work
    assert dataclasses.asdict(work)["protocol"] == SPINE.id


@pytest.mark.skipif(not resident_kib(), reason="the memory of a process is read from /proc")
def test_memory_stays_flat_over_hundreds_of_images(tmp_path):
    paths = write_radiographs(tmp_path / "images", *(f"{k:03}.png" for k in range(200)))
    for k in range(0, 200, 20):
        paths[k].write_bytes(b"\x89PNG\r\n\x1a\n broken")
    work = StandIn(SPINE.id, tmp_path / "out")
    ours = []
    for result in measure_many(paths, work, workers=2):
        ours.append(resident_kib())
        del result
    assert len(ours) == 200
    processes = {process for process, _, _ in looked_at(work.output)}
    assert len(processes) == 2
    for process in processes:
        memory = [kib for pid, kib, _ in looked_at(work.output) if pid == process]
        # The first images bring in libraries and fill caches.
        assert median(memory[-20:]) - median(memory[30:50]) < 10 * 1024
    assert median(ours[-30:]) - median(ours[30:60]) < 10 * 1024
