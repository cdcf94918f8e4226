"""Who is held out of a retraining: whole persons, always the same, nobody whom the network knows."""

import pytest
from support.retrained import drawn_feet

from orthoangles.errors import DatasetError
from orthoangles.training.data import held_out_cases
from orthoangles.training.retraining_split import split_persons

pytestmark = pytest.mark.unit
PEOPLE = [f"person-{k}" for k in range(12)]


def parted(corrected, old=(), record=None):
    return split_persons(corrected, old, record, "foot-lateral")


def persons(listed):
    return {case.group for _, case in listed}


@pytest.fixture(scope="module")
def dozen(tmp_path_factory):
    return drawn_feet(tmp_path_factory.mktemp("split") / "dozen", PEOPLE, 2)


def test_nobody_is_on_both_sides_and_nobody_is_lost(dozen):
    split = parted([dozen])
    trained, tested = persons(split.training["corrected"]), persons(split.testing["corrected"])
    assert trained.isdisjoint(tested)
    assert trained | tested == set(PEOPLE)
    assert tested == split.held_out
    assert len(split.training["corrected"]) + len(split.testing["corrected"]) == 24


def test_five_persons_are_held_out_where_there_are_ten_and_else_a_quarter(dozen, tmp_path):
    assert len(parted([dozen]).held_out) == 5
    assert len(parted([drawn_feet(tmp_path / "eight", PEOPLE[:8])]).held_out) == 2
    assert len(parted([drawn_feet(tmp_path / "two", PEOPLE[:2])]).held_out) == 1
    assert not parted([drawn_feet(tmp_path / "one", PEOPLE[:1], 3)]).held_out


def test_the_same_persons_are_held_out_in_any_order(dozen, tmp_path):
    again = drawn_feet(tmp_path / "again", PEOPLE[::-1], 1)
    assert parted([again]).held_out == parted([dozen]).held_out


def test_nobody_whom_the_network_knows_is_held_out(dozen):
    first = parted([dozen]).held_out
    record = {"folds": 1, "groups": sorted(first)[:3]}
    second = parted([dozen], record=record).held_out
    assert second.isdisjoint(record["groups"])
    assert len(second) == 5
    everybody = parted([dozen], record={"folds": 1, "groups": PEOPLE})
    assert not everybody.held_out
    assert len(everybody.training["corrected"]) == 24


def test_persons_in_the_old_cases_are_held_out_of_both(dozen, tmp_path):
    old = drawn_feet(tmp_path / "old", [*PEOPLE, "elsewhere"], seed=3)
    split = parted([dozen], [old])
    assert persons(split.training["old"]).isdisjoint(split.held_out)
    assert persons(split.testing["old"]) == split.held_out
    assert "elsewhere" in split.held_out


def test_persons_connected_by_a_case_stay_together(tmp_path):
    store = drawn_feet(tmp_path / "feet", ["a+b", "b+c", "c", "d", "e", "f"])
    split = parted([store])
    for part in (split.training["corrected"], split.testing["corrected"]):
        assert persons(part) & {"a+b", "b+c", "c"} in (set(), {"a+b", "b+c", "c"})
    assert split.family_of["c"] == split.family_of["a+b"] == "a"


def test_marked_cases_are_the_ones_held_out(dozen, tmp_path):
    marked = drawn_feet(tmp_path / "marked", ["m-1", "m-2"], split="test")
    split = parted([dozen, marked])
    assert split.held_out == {"m-1", "m-2"}
    with pytest.raises(DatasetError, match="no corrected case is left"):
        parted([marked])


def test_rejected_cases_are_nowhere(tmp_path):
    store = drawn_feet(tmp_path / "feet", PEOPLE, rejected=PEOPLE[:3])
    split = parted([store])
    assert (persons(split.training["corrected"]) | persons(split.testing["corrected"])).isdisjoint(PEOPLE[:3])
    with pytest.raises(DatasetError, match="not rejected"):
        parted([drawn_feet(tmp_path / "none", PEOPLE[:2], rejected=PEOPLE[:2])])


def test_what_was_learned_before_a_retraining_stays_known(dozen):
    record = {"folds": 1, "groups": PEOPLE[:4], "earlier": {"folds": 1, "groups": PEOPLE[4:8]}}
    assert {case.group for case in held_out_cases(dozen, record, "foot-lateral")} == set(PEOPLE[8:])
    assert parted([dozen], record=record).held_out <= set(PEOPLE[8:])
