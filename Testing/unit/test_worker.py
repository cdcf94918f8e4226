import sys
import threading
import time
import traceback

import pytest

from orthoangles.errors import PredictionCancelled, PredictionError
from orthoangles.worker import CANCELLED, DONE, FAILED, IDLE, RUNNING, PredictionWorker

pytestmark = pytest.mark.unit


@pytest.fixture
def worker():
    worker = PredictionWorker()
    yield worker
    assert worker.close(timeout=5)


def polled_to_the_end(worker, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        report = worker.poll(wait=0.02)
        if report.finished:
            return report
    raise AssertionError("the work did not end")


def obedient(started):
    def work(progress, cancelled):
        started.set()
        while not cancelled():
            time.sleep(0.001)
        raise PredictionCancelled("stopped")

    return work


def test_result_comes_back_once(worker):
    worker.submit(lambda progress, cancelled: 42)
    report = polled_to_the_end(worker)
    assert (report.state, report.result()) == (DONE, 42)
    assert worker.poll().state == IDLE
    assert not worker.busy


def test_work_runs_on_one_persistent_thread_that_is_not_the_callers(worker):
    threads = []
    for _ in range(3):
        worker.submit(lambda progress, cancelled: threading.get_ident())
        threads.append(polled_to_the_end(worker).result())
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_progress_is_seen_while_running(worker):
    go_on = threading.Event()

    def work(progress, cancelled):
        progress(0.25, "reading the network")
        go_on.wait(5)

    worker.submit(work)
    while (report := worker.poll(wait=0.05)).fraction == 0:
        assert report.state == RUNNING
    assert (report.state, report.fraction, report.message) == (RUNNING, 0.25, "reading the network")
    go_on.set()
    assert polled_to_the_end(worker).state == DONE


def test_progress_stays_within_0_and_1(worker):
    seen = []

    def work(progress, cancelled):
        for fraction in (-1, 7):
            progress(fraction)
            seen.append(worker._report.fraction)

    worker.submit(work)
    polled_to_the_end(worker)
    assert seen == [0.0, 1.0]


def test_cancel_stops_the_work_and_the_worker_is_ready_again(worker):
    started = threading.Event()
    worker.submit(obedient(started))
    assert started.wait(5)
    worker.cancel()
    report = polled_to_the_end(worker)
    assert report.state == CANCELLED
    with pytest.raises(PredictionCancelled):
        report.result()
    worker.submit(lambda progress, cancelled: cancelled())
    assert polled_to_the_end(worker).result() is False


def test_a_result_that_comes_after_cancel_is_dropped(worker):
    started, go_on = threading.Event(), threading.Event()

    def deaf(progress, cancelled):
        started.set()
        go_on.wait(5)
        return 42

    worker.submit(deaf)
    assert started.wait(5)
    worker.cancel()
    go_on.set()
    assert polled_to_the_end(worker).state == CANCELLED


def test_a_result_that_was_ready_before_cancel_is_dropped_too(worker):
    worker.submit(lambda progress, cancelled: 42)
    time.sleep(0.1)
    worker.cancel()
    assert polled_to_the_end(worker).state == CANCELLED


def test_an_error_is_carried_over_with_its_traceback(worker):
    def broken_network(progress, cancelled):
        raise ValueError("weights are broken")

    worker.submit(broken_network)
    report = polled_to_the_end(worker)
    assert report.state == FAILED
    with pytest.raises(ValueError, match="weights are broken") as caught:
        report.result()
    assert "broken_network" in "".join(traceback.format_tb(caught.value.__traceback__))


def test_an_exit_in_the_work_does_not_end_the_thread(worker):
    def leaves(progress, cancelled):
        raise SystemExit(3)

    worker.submit(leaves)
    with pytest.raises(SystemExit):
        polled_to_the_end(worker).result()
    worker.submit(lambda progress, cancelled: "alive")
    assert polled_to_the_end(worker).result() == "alive"


def test_only_one_work_at_a_time(worker):
    started = threading.Event()
    worker.submit(obedient(started))
    with pytest.raises(PredictionError, match="still running"):
        worker.submit(lambda progress, cancelled: None)
    worker.cancel()
    polled_to_the_end(worker)


def test_running_work_has_no_result_yet(worker):
    worker.submit(obedient(threading.Event()))
    with pytest.raises(PredictionError, match="running"):
        worker.poll().result()
    worker.cancel()
    polled_to_the_end(worker)


def test_close_cancels_ends_the_thread_and_refuses_more():
    worker = PredictionWorker()
    started = threading.Event()
    worker.submit(obedient(started))
    assert started.wait(5)
    assert worker.close(timeout=5)
    with pytest.raises(PredictionError, match="closed"):
        worker.submit(lambda progress, cancelled: None)


def test_close_says_when_stubborn_work_has_not_ended():
    worker = PredictionWorker()
    let_go = threading.Event()
    worker.submit(lambda progress, cancelled: let_go.wait(5))
    assert worker.close(timeout=0.05) is False
    let_go.set()
    assert worker.close(timeout=5) is True


def test_polling_lets_the_work_run_where_the_event_loop_keeps_the_interpreter_lock():
    """The main thread gives the lock away only while it waits in poll: as in an embedded interpreter."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    worker = PredictionWorker()
    try:
        worker.submit(lambda progress, cancelled: sum(k % 7 for k in range(200_000)))
        deadline = time.perf_counter() + 20
        while not (report := worker.poll(wait=0.01)).finished and time.perf_counter() < deadline:
            sum(range(1000))
        assert report.state == DONE
    finally:
        sys.setswitchinterval(interval)
        assert worker.close()
