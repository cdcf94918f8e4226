"""What a measurement gives: values with their lines, intervals, grades and reasons, and findings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from orthoangles.measurement_frame import MeasurementFrame


# AxisLine and Measurement are made dozens of times at every move of the mouse: freezing them would triple the
# cost of making one. Treat them as read-only all the same.
@dataclass(eq=False, slots=True)
class AxisLine:
    """A line that an angle was really taken between; ``start`` and ``end`` (3,) LPS mm."""

    id: str
    name: str
    start: np.ndarray
    end: np.ndarray


@dataclass(eq=False, slots=True)
class Measurement:
    """One measured value, or None with the ``reason``.

    ``interval`` holds the value with 95 % probability, given the points' spread and these axes (for a Cobb
    rule: these end vertebrae); None where a spread is unknown. ``details`` holds what the rule tells besides
    the value, for a Cobb rule the end vertebrae, apex, side and region.
    """

    id: str
    name: str
    value: float | None
    unit: str
    plane: str | None
    definition: str
    source: str
    grade: str | None = None
    interval: tuple[float, float] | None = None
    reason: str | None = None
    axes: tuple[AxisLine, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a finding is present; None where the measurements or the age it needs are not known."""

    id: str
    name: str
    present: bool | None
    rule: str


@dataclass(frozen=True, eq=False)
class MeasurementResult:
    """All measurements and findings of one image, in the order of the protocol.

    ``find_warnings`` is called when :attr:`warnings` is asked for the first time, not at every move of the
    mouse. ``frame`` is the one in which a volume was measured, None for a radiograph.
    """

    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    find_warnings: Callable[[], tuple[str, ...]] = tuple
    frame: "MeasurementFrame | None" = None

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What does not look right about the points, one sentence each."""
        return self.find_warnings()

    @cached_property
    def _by_id(self) -> dict[str, Measurement | Finding]:
        return {entry.id: entry for entry in (*self.findings, *self.measurements)}

    def by_id(self, entry_id: str) -> Measurement | Finding:
        """The measurement, or finding, of that id; KeyError names an unknown one."""
        try:
            return self._by_id[entry_id]
        except KeyError:
            raise KeyError(f"no measurement or finding '{entry_id}'") from None
