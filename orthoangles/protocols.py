"""What is measured, as data: landmarks, axes, measurements, grades and findings of one kind of image.

A protocol is a JSON file in ``Resources/Protocols``, checked on load by ``protocol.schema.json`` and by
:mod:`orthoangles.protocol_checks`. A new measurement is a new file and no code::

    protocol = load_protocol("spine-ap-cobb")
    protocol.landmark_ids[:4]      # ('T1-TL', 'T1-TR', 'T1-BL', 'T1-BR')
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

from orthoangles.errors import ProtocolError
from orthoangles.paths import protocols_dir

SCHEMA_NAME = "protocol.schema.json"


@dataclass(frozen=True)
class Code:
    """A concept of a public terminology: scheme ``SCT`` (SNOMED CT) or ``RADLEX``, its value and meaning."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Source:
    """Where a definition comes from."""

    citation: str
    url: str = ""


@dataclass(frozen=True)
class Group:
    """The bone that landmarks lie on, for example the vertebra T1."""

    id: str
    name: str
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True)
class Landmark:
    """A point that a network proposes and a reader corrects; ``description`` says where to put it."""

    id: str
    name: str
    description: str
    group: str
    source: str
    inferred: bool = False
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True)
class DerivedPoint:
    """The mean of landmarks or of other derived points."""

    id: str
    name: str
    mean_of: tuple[str, ...]
    source: str
    inferred: bool = False


@dataclass(frozen=True)
class Axis:
    """A directed line. What it is made from depends on ``kind``.

    ``line``: from the mean of ``start`` to the mean of ``end``. ``fit``: Welsch fit over the handles
    ``points``, run from the first to the last, ``scale`` mm being the noise of one point; on an image without
    spacing it is 3 % of the axis' length instead, about the same on a metatarsal. ``direction``: the fixed
    ``vector``, or its opposite where that runs with the axis ``towards``.
    ``bisector``: halves the two ``axes``.
    """

    id: str
    name: str
    kind: str
    source: str
    inferred: bool = False
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    scale: float = 1.0
    vector: tuple[float, ...] = ()
    towards: str = ""
    axes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plane:
    """A plane of projection by its normal.

    The normal is ``vector`` (LPS), or ``axis`` freed of its part along ``vector``, or with ``cross`` the
    cross product vector x axis.
    """

    id: str
    name: str
    source: str
    inferred: bool = False
    vector: tuple[float, ...] = ()
    axis: str = ""
    cross: bool = False


@dataclass(frozen=True)
class FrameDefinition:
    """How landmarks tell a frame.

    ``ground``: three landmarks near the ground; ``heights``: how much higher than the first each of them lies on a
    level ground, as a share of their triangle's longest side. ``lateral``, ``distal``: axes that run there, the best
    first.
    """

    ground: tuple[str, ...]
    distal: tuple[str, ...]
    lateral: tuple[str, ...]
    source: str
    inferred: bool = False
    heights: tuple[float, ...] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Vertebra:
    """One vertebra of a column: corner landmarks top-left, top-right, bottom-left, bottom-right in the
    image.
    """

    id: str
    corners: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A curve region: the levels, ``start`` to ``end``, at which the apex of such a curve lies.

    A level is a vertebra (``T6``) or the disc between two (``T11/T12``).
    """

    id: str
    name: str
    start: str
    end: str
    source: str
    inferred: bool = False


@dataclass(frozen=True, eq=False)
class Column:
    """A column of vertebrae from top to bottom, with what the clinical Cobb rule needs to know about it."""

    id: str
    name: str
    vertebrae: tuple[Vertebra, ...]
    regions: tuple[Region, ...]
    minimum_curve: float
    patient_right: str
    source: str

    @cached_property
    def vertebra_ids(self) -> tuple[str, ...]:
        """Ids from top to bottom."""
        return tuple(vertebra.id for vertebra in self.vertebrae)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Vertebrae and discs in order: vertebra k at 2k, the disc below it at 2k + 1."""
        ids = self.vertebra_ids
        discs = [f"{a}/{b}" for a, b in pairwise(ids)]
        return tuple(level for pair in zip(ids, [*discs, ""], strict=True) for level in pair if level)

    def region_of(self, level: int) -> Region | None:
        """Region of the apex level, given as an index into :attr:`levels`."""
        return self._region_by_level[level]

    @cached_property
    def _region_by_level(self) -> tuple[Region | None, ...]:
        found: list[Region | None] = [None] * len(self.levels)
        for region in self.regions:
            for level in range(self.levels.index(region.start), self.levels.index(region.end) + 1):
                found[level] = region
        return tuple(found)


@dataclass(frozen=True)
class Ages:
    """Ages in years, ``start`` included, ``below`` not; the default holds for everyone."""

    start: float = 0.0
    below: float = float("inf")

    @property
    def everyone(self) -> bool:
        """Whether no age is left out."""
        return self == Ages()

    def includes(self, age: float) -> bool:
        """Whether ``age`` in years lies in the range."""
        return self.start <= age < self.below

    def __str__(self) -> str:
        if self.everyone:
            return "any age"
        if self.below == float("inf"):
            return f"{self.start:g} years and older"
        return f"{self.start:g} to below {self.below:g} years"


@dataclass(frozen=True)
class Condition:
    """``value`` compared by ``comparison`` (>=, >, <=, <) with the measurement named by ``measurement``."""

    measurement: str
    comparison: str
    value: float


@dataclass(frozen=True)
class Band:
    """One grade: its name and (comparison, limit) pairs that must all hold."""

    name: str
    limits: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class GradeScale:
    """Grades for an age range; the first band whose limits hold names the grade."""

    bands: tuple[Band, ...]
    source: str
    ages: Ages = Ages()
    inferred: bool = False


@dataclass(frozen=True)
class Conditions:
    """Conditions joined by ``any`` or ``all``, as one of the conditions of a criterion."""

    conditions: tuple["Condition | Conditions", ...]
    joined: str


@dataclass(frozen=True)
class Criterion:
    """Conditions of a finding for an age range, joined by ``any`` or ``all``."""

    conditions: tuple[Condition | Conditions, ...]
    source: str
    joined: str = "any"
    ages: Ages = Ages()
    inferred: bool = False


@dataclass(frozen=True)
class FindingDefinition:
    """A finding that is present when the criterion for the patient's age holds."""

    id: str
    name: str
    criteria: tuple[Criterion, ...]
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True)
class MeasurementDefinition:
    """One row of the result: which rule, over which axes or column, in which plane; ``positive`` and so on as
    in the schema.
    """

    id: str
    name: str
    rule: str
    unit: str
    plane: str | None
    definition: str
    source: str
    inferred: bool = False
    axes: tuple[str, ...] = ()
    signed: bool = False
    sense: tuple[str, ...] = ()
    positive: str = "clockwise"
    mirrored: bool = False
    folded: bool = False
    complement: bool = False
    abbreviation: str = ""
    drawn: bool = True
    point: str = ""
    column: str = ""
    angle: str = ""
    regions: tuple[str, ...] = ()
    grades: tuple[GradeScale, ...] = ()
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True, eq=False)
class Protocol:
    """Everything measured on one kind of image; see :func:`load_protocol`."""

    id: str
    name: str
    version: str
    description: str
    region: str
    view: str
    dimension: int
    bundle: str
    sources: Mapping[str, Source]
    groups: tuple[Group, ...]
    landmarks: tuple[Landmark, ...]
    points: tuple[DerivedPoint, ...]
    axes: tuple[Axis, ...]
    planes: tuple[Plane, ...]
    columns: tuple[Column, ...]
    measurements: tuple[MeasurementDefinition, ...]
    findings: tuple[FindingDefinition, ...]
    codes: tuple[Code, ...] = ()
    frame: FrameDefinition | None = None

    @cached_property
    def landmark_ids(self) -> tuple[str, ...]:
        """Ids in the order of the points array."""
        return tuple(landmark.id for landmark in self.landmarks)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {landmark_id: i for i, landmark_id in enumerate(self.landmark_ids)}

    def index(self, landmark_id: str) -> int:
        """Row of a landmark in the points array; KeyError names an unknown one."""
        try:
            return self._index[landmark_id]
        except KeyError:
            raise KeyError(f"protocol '{self.id}' has no landmark '{landmark_id}'") from None

    def landmark(self, landmark_id: str) -> Landmark:
        """The landmark of that id."""
        return self.landmarks[self.index(landmark_id)]

    @cached_property
    def axis_by_id(self) -> Mapping[str, Axis]:
        """Axes by id."""
        return {axis.id: axis for axis in self.axes}

    @cached_property
    def column_by_id(self) -> Mapping[str, Column]:
        """Columns by id."""
        return {column.id: column for column in self.columns}


def available_protocols() -> tuple[str, ...]:
    """Ids of the protocols that ship, in alphabetical order."""
    return tuple(sorted(file.stem for file in protocols_dir().glob("*.json") if file.name != SCHEMA_NAME))


@cache
def shipped_bundle(protocol_id: str) -> str:
    """Name of the model bundle of a protocol that ships, empty where there is none yet; KeyError for an unknown id.

    The file is only read and not checked: a panel asks this before the packages that check it are installed.
    """
    if protocol_id not in available_protocols():
        raise KeyError(protocol_id)
    return json.loads((protocols_dir() / f"{protocol_id}.json").read_text(encoding="utf-8")).get("bundle", "")


def load_protocol(id_or_path: str | Path) -> Protocol:
    """Protocol by its id or read from a file; one that ships is read once and then shared.

    Raises:
        ProtocolError: unknown id, or a malformed file; the message names the file and each wrong entry.
    """
    if isinstance(id_or_path, Path) or id_or_path.endswith(".json"):
        return _read(Path(id_or_path))
    return _shipped(id_or_path)


@cache
def _shipped(protocol_id: str) -> Protocol:
    if protocol_id not in available_protocols():
        raise ProtocolError(f"no protocol '{protocol_id}'; available: {', '.join(available_protocols())}")
    protocol = _read(protocols_dir() / f"{protocol_id}.json")
    if protocol.id != protocol_id:
        raise ProtocolError(f"{protocol_id}.json: its id is '{protocol.id}'; name the file after the id")
    return protocol


def _read(path: Path) -> Protocol:
    from orthoangles.protocol_checks import check_protocol
    from orthoangles.protocol_parsing import protocol_from

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProtocolError(
            f"{path.name}: there is no such file; give a protocol's id or the path of its JSON file"
        ) from None
    except OSError as error:
        raise ProtocolError(f"{path.name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProtocolError(f"{path.name}: is not UTF-8 text; save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise ProtocolError(
            f"{path.name}: line {error.lineno} column {error.colno}: {error.msg}; mend the JSON"
        ) from error
    check_protocol(data, path.name)
    return protocol_from(data)
