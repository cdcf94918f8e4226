"""Figures as text: Markdown tables, and JSON that has no NaN."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Nested figures as JSON types; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["-"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float, digits: int = 2, unit: str = "") -> str:
    """A figure in a table; a dash where there is none."""
    return f"{value:.{digits}f}{unit}" if math.isfinite(value) else "-"


def percent(value: float) -> str:
    """A share as percent with one digit."""
    return number(100 * value, 1, " %")


def between(interval: Sequence[float], digits: int = 2, factor: float = 1.0) -> str:
    """``low to high``."""
    return f"{number(factor * interval[0], digits)} to {number(factor * interval[1], digits)}"
