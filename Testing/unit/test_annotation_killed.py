"""Exports and imports killed at random moments: all stays readable, and what was reported as written is there."""

import os

import pytest
from support.survival import JOBS, Survival

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked, which this system cannot"),
]


def test_sixty_kills_leave_nothing_unreadable_and_lose_nothing(tmp_path):
    survival = Survival(tmp_path, seed=7)
    survival.run(60)
    assert survival.killed.total() == 60
    # Every job was struck, and some in the middle of their writing: else it proved nothing.
    assert all(survival.killed[job] > 3 for job in JOBS)
    assert survival.interrupted > 3
