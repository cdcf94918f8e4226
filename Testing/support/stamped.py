"""Films with text burnt in by the simulation's letters."""

from dataclasses import dataclass

import numpy as np

from orthoangles.simulation.radiography.furniture import _letters


@dataclass(frozen=True, eq=False)
class StampedFilm:
    """``film`` (rows, columns) with text in the box (left, top, right, bottom), ends excluded; ``legible``: the
    background of most of it is darker than the ink by a fifth of the range.
    """

    film: np.ndarray
    box: tuple[int, int, int, int]
    legible: bool

    def touches(self, box) -> bool:
        """Whether a box (left, top, right, bottom) and that of the text overlap."""
        left, top, right, bottom = self.box
        return box[0] < right and box[2] >= left and box[1] < bottom and box[3] >= top


def stamp_text(film: np.ndarray, text: str, rng: np.random.Generator, height: float | None = None) -> StampedFilm:
    """``text`` in white near the upper or lower border, 9 to 30 px high, half of the time on a black ground."""
    low, high = np.percentile(film, (0.5, 99.5))
    rows, columns = film.shape
    ink = _letters(text, height or rng.uniform(9, 30))
    while ink.shape[1] >= columns - 4:
        ink = _letters(text, height := (height or 20) * 0.7)
    tall, wide = ink.shape
    row = int(rng.integers(0, max(int(rows * 0.12), 1)))
    row = row if rng.random() < 0.5 else rows - tall - 1 - row
    column = int(rng.integers(0, columns - wide))
    stamped = film.astype(np.float32)
    window = stamped[row : row + tall, column : column + wide]
    ground = np.full_like(window, low) if rng.random() < 0.5 else window.copy()
    legible = bool(np.median(ground) < high - 0.2 * (high - low))
    window[:] = ground * (1 - ink) + high * ink
    return StampedFilm(stamped.astype(film.dtype), (column, row, column + wide, row + tall), legible)
