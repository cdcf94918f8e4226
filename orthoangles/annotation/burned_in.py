"""Letters burnt into a picture: marks that look like a line of text, for a person to check before it is passed on."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# px: smaller letters cannot be read, larger ones are side markers rather than text.
_HEIGHT = (6, 90)
# Share of the grey range by which a stroke stands out from what lies around it.
_CONTRAST = 0.25
# In the outer part of the picture three letters are a line, further in, among the bones, four.
_FEWEST_LETTERS = (3, 4)
_OUTER = 0.2
# px of the longer side: finer images are looked at in a coarser copy, where letters are still large enough.
_LARGEST = 2400


@dataclass(frozen=True)
class TextMark:
    """A line of ``letters`` marks side by side in the box (left, top, right, bottom), px, ends included."""

    left: int
    top: int
    right: int
    bottom: int
    letters: int

    @property
    def box(self) -> list[int]:
        """The corners for JSON."""
        return [self.left, self.top, self.right, self.bottom]


def text_marks(pixels: np.ndarray) -> tuple[TextMark, ...]:
    """Lines that look like text on a picture (rows, columns), from top to bottom; empty where none was found.

    Bright or dark marks with sharp edges, of one height and one grey, side by side in a row of three or more (four in
    the middle of the picture). A hint and no proof: handwriting, single letters and text under 6 px escape it.
    """
    step = -(-max(pixels.shape) // _LARGEST)
    grey = _stretched(_coarser(pixels, step))
    lines = [line for picture in (grey, 255 - grey) for line in _lines(_letters(picture), step)]
    lines = _merged([line for line in lines if line.letters >= _fewest(line, pixels.shape)])
    return tuple(sorted(lines, key=lambda line: (line.top, line.left)))


def _merged(lines: list[TextMark]) -> list[TextMark]:
    """One line for those that overlap: letters and the gaps between them, or two windows, may tell of the same."""
    found: list[TextMark] = []
    for line in sorted(lines, key=lambda line: -line.letters):
        same = next((i for i, other in enumerate(found) if _overlap(line, other)), None)
        if same is None:
            found.append(line)
            continue
        a, b = found[same], line
        corners = min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom)
        found[same] = TextMark(*corners, max(a.letters, b.letters))
    return found


def _overlap(a: TextMark, b: TextMark) -> bool:
    return a.left <= b.right and b.left <= a.right and a.top <= b.bottom and b.top <= a.bottom


def _fewest(line: TextMark, shape: tuple[int, int]) -> int:
    across = (line.left + line.right) / 2 / shape[1]
    down = (line.top + line.bottom) / 2 / shape[0]
    return _FEWEST_LETTERS[int(_OUTER < across < 1 - _OUTER and _OUTER < down < 1 - _OUTER)]


def _coarser(pixels: np.ndarray, step: int) -> np.ndarray:
    """Means of squares of ``step`` pixels, float32; an incomplete last row or column is left out."""
    pixels = np.asarray(pixels, dtype=np.float32)
    rows, columns = (side // step * step for side in pixels.shape)
    parts = [pixels[row:rows:step, column:columns:step] for row in range(step) for column in range(step)]
    return sum(parts[1:], start=parts[0]) / step**2


def _stretched(grey: np.ndarray) -> np.ndarray:
    """uint8; burnt-in text is often the brightest value, so hardly anything is cut off at the top."""
    low, high = (float(value) for value in np.percentile(grey[::4, ::4], (0.5, 99.5)))
    return (np.clip((grey - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def _opened(grey: np.ndarray, width: int) -> np.ndarray:
    """Grey opening by a square: what is narrower than ``width`` px disappears. As scipy's, and ten times as fast."""
    return _windowed(_windowed(grey, width, np.minimum), width, np.maximum)


def _windowed(values: np.ndarray, width: int, extreme: np.ufunc) -> np.ndarray:
    """The smallest or largest value in a square window of odd ``width``; beyond the border stands the border."""
    for axis in (0, 1):
        ends = [(width // 2, width // 2) if axis == each else (0, 0) for each in (0, 1)]
        window = np.moveaxis(np.pad(values, ends, mode="edge"), axis, 0)
        seen = 1
        while seen < width:
            step = min(seen, width - seen)
            window = extreme(window[:-step], window[step:])
            seen += step
        values = np.moveaxis(window, 0, axis)
    return values


def _letters(grey: np.ndarray) -> np.ndarray:
    """(n, 5): left, top, right, bottom and grey value of bright marks that may be letters."""
    from scipy import ndimage

    found = []
    # A stroke is a sixth or so of a letter's height: two widths of window for small and for large letters.
    for width, heights in ((9, (_HEIGHT[0], 40)), (25, (32, _HEIGHT[1]))):
        strokes = grey - _opened(grey, width) > 255 * _CONTRAST
        labels, _ = ndimage.label(strokes, structure=np.ones((3, 3)))
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
            height, breadth = rows.stop - rows.start, columns.stop - columns.start
            if heights[0] <= height <= heights[1] and height / 12 <= breadth <= 1.6 * height:
                mark = labels[rows, columns] == number
                value = _ink(grey[rows, columns][mark], mark)
                if value is not None:
                    found.append((columns.start, rows.start, columns.stop - 1, rows.stop - 1, value))
    return np.array(found, dtype=np.float64).reshape(-1, 5)


def _ink(values: np.ndarray, mark: np.ndarray) -> float | None:
    """The grey of a letter, or None where ``mark`` (bool) is full or nearly empty, or its grey ``values`` differ."""
    height, breadth = mark.shape
    share = mark.mean()
    if share < 0.12 or (share > 0.95 and breadth > 0.45 * height):
        return None
    middle, core = np.percentile(values, (55, 85))
    return float(core) / 255 if core - middle <= 64 else None


def _lines(letters: np.ndarray, step: int) -> list[TextMark]:
    """Marks of one height and grey, side by side, joined to lines; ``step`` px of the picture are one of theirs."""
    order = letters[np.argsort(letters[:, 0])]
    used = np.zeros(len(order), dtype=bool)
    lines = []
    for start in range(len(order)):
        if used[start]:
            continue
        chain = [start]
        while (after := _next(order, chain[-1], used)) is not None:
            chain.append(after)
        if len(chain) >= min(_FEWEST_LETTERS) and _is_text(order[chain]):
            used[chain] = True
            box = order[chain]
            low, high = box[:, :2].min(axis=0), box[:, 2:4].max(axis=0)
            left, top, right, bottom = (int(x) for x in (*low * step, *(high + 1) * step - 1))
            lines.append(TextMark(left, top, right, bottom, len(chain)))
    return lines


def _next(letters: np.ndarray, index: int, used: np.ndarray) -> int | None:
    left, top, right, bottom, grey = letters[index]
    height = bottom - top + 1
    heights = letters[:, 3] - letters[:, 1] + 1
    gap = letters[:, 0] - right
    overlap = np.minimum(letters[:, 3], bottom) - np.maximum(letters[:, 1], top) + 1
    fits = (
        ~used
        & (letters[:, 0] > left)
        & (gap > -0.2 * height)
        & (gap < 1.0 * height)
        & (np.maximum(heights, height) < 1.45 * np.minimum(heights, height))
        & (overlap > 0.7 * np.minimum(heights, height))
        & (np.abs(letters[:, 4] - grey) < 0.12)
    )
    fits[index] = False
    near = np.flatnonzero(fits)
    return int(near[np.argmin(gap[near])]) if len(near) else None


def _is_text(line: np.ndarray) -> bool:
    """Letters stand on one base line."""
    heights = line[:, 3] - line[:, 1] + 1
    middle = (line[:, 3] + line[:, 1]) / 2
    slope = [abs(b - a) for a, b in pairwise(middle)]
    return max(slope) <= 0.35 * heights.mean()
