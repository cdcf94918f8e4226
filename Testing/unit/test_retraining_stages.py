"""Progress of a long job, the time left, and a stop that waits for a safe moment."""

import os
import signal

import pytest

from orthoangles.training import stages
from orthoangles.training.stages import Stages, Stop

pytestmark = pytest.mark.unit


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the stages see; set by the test."""
    now = [100.0]
    monkeypatch.setattr(stages.time, "monotonic", lambda: now[0])
    return now


def test_fractions_are_of_the_whole_and_the_time_left_counts_later_stages(clock):
    reports = []
    progress = Stages({"first": 1, "second": 3}, reports.append)
    progress("first", 0.0, "begins")
    clock[0] += 10
    progress("first", 0.5, "half")
    clock[0] += 10
    progress("second", 0.0, "on")
    clock[0] += 10
    progress("second", 0.25, "goes", 30.0)
    progress("second", 1.0, "done")
    assert [report.fraction for report in reports] == [0, 0.125, 0.25, 0.4375, 1]
    # Half of the first stage took 10 s: 10 s for the other half, 60 s for the second, which is three times as long.
    assert [report.seconds_left for report in reports] == [None, 70, None, 30, None]


def test_no_more_than_two_reports_a_second_but_every_end_and_stage(clock):
    reports = []
    progress = Stages({"first": 1, "second": 1}, reports.append)
    for k in range(100):
        clock[0] += 0.01
        progress("first", k / 100, "")
    progress("first", 1.0, "")
    progress("second", 0.0, "")
    assert 3 <= len(reports) <= 5
    assert (reports[-2].fraction, reports[-1].stage) == (0.5, "second")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_comes_at_once_or_at_the_safe_moment(number):
    before = signal.getsignal(number)
    with Stop() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    reached = []
    with Stop() as stop, pytest.raises(KeyboardInterrupt), stop.held():  # noqa: PT012 - the signal and its check
        os.kill(os.getpid(), number)
        reached.append("still here")
        stop.check()
        reached.append("not here")
    assert reached == ["still here"]
    with Stop() as stop, pytest.raises(KeyboardInterrupt), stop.held():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before
