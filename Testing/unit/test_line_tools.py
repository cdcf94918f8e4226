"""The commands that compare line fits and repeat S0's experiments."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from orthoangles.geometry import welsch_line_fit
from orthoangles.segments import handles_between
from orthoangles.training.loop import Schedule

pytestmark = pytest.mark.unit

ENDS = np.array([[[63.0, 75.0], [68.0, 50.0]], [[58.0, 118.0], [61.0, 80.0]], [[73.0, 122.0], [76.0, 78.0]]])
"""Proximal phalanx and both metatarsals in a frame of 160 x 128 pixels."""


def tool(name: str):
    path = Path(__file__).parents[2] / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lines():
    return tool("robust_lines")


@pytest.fixture(scope="module")
def experiments():
    return tool("segment_experiments")


class FixedSamples:
    """Two black pictures, the same handles on both."""

    def __len__(self) -> int:
        return 2

    def batch(self, indices, seed=None):
        points = torch.from_numpy(handles_between(ENDS)).float()
        return torch.zeros(len(indices), 1, 160, 128), points.expand(len(indices), -1, -1)


class Maps(nn.Module):
    """Gives the same logits for every picture."""

    def __init__(self, maps: torch.Tensor) -> None:
        super().__init__()
        self.maps = nn.Parameter(maps)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.maps.expand(len(image), -1, -1, -1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_a_segment_has_as_many_wrong_cells_as_asked_for(lines, share):
    rng = np.random.default_rng(4)
    for _ in range(5):
        points, direction = lines.segment(share, rng)
        fit = welsch_line_fit(points)
        away = np.abs((points - fit.centre) @ [-direction[1], direction[0]])
        own = away < 3
        assert (~own).sum() == pytest.approx(share * own.sum(), rel=0.25)
        assert (points >= 0).all()
        assert (points < [128, 256]).all()
        assert (away[~own] > 5).all()


def test_the_welsch_fit_stays_where_the_published_one_leaves(lines, monkeypatch):
    monkeypatch.setattr(lines, "SHARES", (0.0, 0.3))
    scores = lines.compare(6, seed=1)
    assert max(each.errors.mean() for each in scores["welsch, this project"]) < 0.6
    assert scores["l2, this project"][1].errors.mean() > 3
    text = lines.table(scores)
    assert "| welsch, this project |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_without_opencv_the_table_says_so(lines, monkeypatch):
    monkeypatch.setattr(lines, "cv2", None)
    monkeypatch.setattr(lines, "SHARES", (0.0,))
    scores = lines.compare(2, seed=0)
    assert all("this project" in name for name in scores)
    assert lines.table(scores).count("OpenCV is not installed") == 6


def test_what_is_not_found_counts_as_missed(experiments):
    errors = np.array([[1.0, -4.0], [np.nan, np.nan], [-2.0, 0.5], [4.0, 1.0]])
    text = experiments.table([experiments.Row("lines", "paper", 1.0, 10, errors)])
    cells = [cell.strip() for cell in text.splitlines()[2].split("|")]
    assert cells[3:10] == ["50.0%", "75.0%", "50.0%", "75.0%", "2.33", "1.83", "75.0%"]


def test_perfect_maps_measure_the_labelled_angles(experiments):
    each = experiments.experiment("4", (160, 128), 8, published=False)
    maps = torch.logit(each.loss.maps(torch.from_numpy(ENDS).float(), (40, 32)).clamp(1e-4, 1 - 1e-4))
    truth = experiments.measured(handles_between(ENDS), 1.0)
    cases = experiments.TestCases(FixedSamples(), np.array([truth, truth]), np.ones(2))

    class Trained:
        averaged, device, seconds, step = Maps(maps), torch.device("cpu"), 60.0, 5

    rows = {row.reading: row for row in experiments.scored(each, Trained, cases)}
    assert np.abs(rows["weighted"].errors).max() < 0.5
    assert set(rows) == {"paper", "code", "weighted"}


def test_angles_count_in_millimetres(experiments):
    handles = handles_between(ENDS)
    handles[[1, 3]] += [[1.5, 0], [-1.5, 0]]
    assert experiments.measured(handles, 0.3) != pytest.approx(experiments.measured(handles, 3.0), abs=0.1)
    handles[0] = np.nan
    assert np.isnan(experiments.measured(handles, 1.0)[0])
    assert np.isfinite(experiments.measured(handles, 1.0)[1])


def test_a_network_trained_its_minutes_is_not_trained_again(experiments, tmp_path):
    schedule = Schedule(1, 2, 1e-3, 0.0, optimiser="rmsprop", cosine=False)
    each = experiments.experiment("2", (160, 128), 8, published=True)
    first = experiments.trained(each, FixedSamples(), schedule, 1.0, tmp_path)
    assert first.step == 1
    again = experiments.experiment("2", (160, 128), 8, published=True)
    second = experiments.trained(again, FixedSamples(), Schedule(50, 2), first.seconds / 60, tmp_path)
    assert second.step == 1
    assert all(torch.equal(a, b) for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True))
