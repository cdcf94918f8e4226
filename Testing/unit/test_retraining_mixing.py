"""Corrected and old cases in one stream: the share, everybody's turn, and the same draws for the same step."""

from collections import Counter

import numpy as np
import pytest
import torch

from orthoangles.training.mixing import MixedSamples, corrected_share

pytestmark = pytest.mark.unit


class Numbered:
    """Cases whose image and target are their number."""

    def __init__(self, count, first=0):
        self.count, self.first = count, first

    def __len__(self):
        return self.count

    def batch(self, indices, seed=None):
        numbers = torch.as_tensor(np.asarray(indices) + self.first, dtype=torch.float32)
        return numbers[:, None], numbers


def drawn(corrected, old, epochs, size=40, batch=4):
    """Numbers drawn in each step; old ones are from 1000 on."""
    asked = []
    samples = MixedSamples(Numbered(corrected), Numbered(old, 1000) if old else None, size, batch, asked.append)
    steps = []
    for step in range(epochs * size // batch):
        epoch, position = divmod(step, size // batch)
        order = np.random.default_rng(epoch).permutation(len(samples))
        images, targets = samples.batch(order[position * batch : (position + 1) * batch], seed=step)
        assert torch.equal(images[:, 0], targets)
        steps.append(targets.int().tolist())
    assert asked == list(range(len(steps)))
    return steps


def test_half_of_what_is_drawn_is_corrected_and_everybody_has_a_turn():
    numbers = Counter(number for step in drawn(6, 60, 6) for number in step)
    assert sum(count for number, count in numbers.items() if number < 1000) == 120
    assert [numbers[k] for k in range(6)] == [20] * 6
    assert [numbers[1000 + k] for k in range(60)] == [2] * 60


def test_more_corrected_than_old_cases_are_drawn_as_they_come():
    assert corrected_share(30, 10) == 0.75
    assert corrected_share(1, 0) == 1
    numbers = Counter(number < 1000 for step in drawn(30, 10, 2) for number in step)
    assert numbers[True] == 60


def test_without_old_cases_all_are_corrected():
    assert Counter(number for step in drawn(5, 0, 1) for number in step) == dict.fromkeys(range(5), 8)


def test_a_step_draws_what_it_drew():
    assert drawn(7, 13, 3) == drawn(7, 13, 3)
