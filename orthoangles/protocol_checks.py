"""Checks of a protocol's JSON: its schema first, then that every reference leads somewhere.

All faults of a file are told at once, each with its entry, so that its author mends them in one go.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import Any

from orthoangles.errors import ProtocolError
from orthoangles.paths import protocols_dir

ANGLE = "angle"
AASCE = "cobb-aasce"
AASCE_PYTHON = "cobb-aasce-python"
CLINICAL = "cobb-clinical"
OFFSET = "offset"
RULES = (ANGLE, OFFSET, AASCE, AASCE_PYTHON, CLINICAL)
UNITS = dict.fromkeys(RULES, "deg") | {OFFSET: "%"}

_SHOWN = 8
_NEEDED = {
    ANGLE: ("axes",),
    OFFSET: ("axes", "point"),
    AASCE: ("column", "angle"),
    AASCE_PYTHON: ("column", "angle"),
    CLINICAL: ("column",),
}
_TABLES = ("groups", "landmarks", "points", "axes", "planes", "columns", "measurements", "findings")


def check_protocol(data: Any, file_name: str) -> None:
    """Check the parsed JSON of a protocol file.

    Raises:
        ProtocolError: names the file and each faulty entry, for example ``x.json: axes[3] 'T4-midline':
            landmark 'T4-XX' is not defined``.
    """
    faults = list(_schema_faults(data)) or list(_semantic_faults(data))
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ProtocolError(f"{file_name}: {'; '.join(faults[:_SHOWN])}{more}")


@lru_cache(maxsize=1)
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    from orthoangles.protocols import SCHEMA_NAME

    return Draft202012Validator(json.loads((protocols_dir() / SCHEMA_NAME).read_text(encoding="utf-8")))


def _schema_faults(data: Any) -> Iterator[str]:
    for error in sorted(_validator().iter_errors(data), key=lambda e: [str(part) for part in e.absolute_path]):
        yield f"{_place(data, list(error.absolute_path))}{_reason(error)}"


def _reason(error: Any) -> str:
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"'{missing[0]}' is missing"
    return error.message


def _place(data: Any, path: list[Any]) -> str:
    """``axes[3] 'T4-midline': start[0]: `` from a JSON path."""
    if not path:
        return ""
    entry, rest = data[path[0]], path[1:]
    place = str(path[0])
    if rest and isinstance(rest[0], int):
        entry, place, rest = entry[rest[0]], f"{place}[{rest[0]}]", rest[1:]
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            place += f" '{entry['id']}'"
    inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest).lstrip(".")
    return f"{place}: {inner + ': ' if inner else ''}"


def _semantic_faults(data: Mapping[str, Any]) -> Iterator[str]:
    tables = {name: data.get(name, []) for name in _TABLES}
    yield from _duplicates(tables)
    yield from _unknown_sources(data)
    yield from _unknown_references(tables)
    yield from _cycles(tables)
    yield from _column_faults(tables)
    yield from _measurement_faults(tables, data["dimension"])
    if "frame" in data:
        yield from _frame_faults(data)


def _entries(tables: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for i, entry in enumerate(tables[name]):
        yield f"{name}[{i}] '{entry['id']}'", entry


def _duplicates(tables: Mapping[str, Any]) -> Iterator[str]:
    for names in (
        ("landmarks", "points"),
        ("axes",),
        ("groups",),
        ("planes",),
        ("columns",),
        ("measurements",),
        ("findings",),
    ):
        seen: dict[str, str] = {}
        for name in names:
            for place, entry in _entries(tables, name):
                if entry["id"] in seen:
                    yield f"{place}: the id is already that of {seen[entry['id']]}; ids must differ"
                seen.setdefault(entry["id"], place.split(" ")[0])


def _unknown_sources(data: Mapping[str, Any]) -> Iterator[str]:
    known = data["sources"]
    for name in _TABLES:
        for i, entry in enumerate(data.get(name, [])):
            for inner, source in _sources(entry):
                if source not in known:
                    place = f"{name}[{i}] '{entry['id']}': {inner}"
                    yield f"{place}source '{source}' is not defined under 'sources'{_hint(source, known)}"


def _frame_faults(data: Mapping[str, Any]) -> Iterator[str]:
    frame = data["frame"]
    if data["dimension"] == 2:
        yield "frame: a radiograph is measured in its own plane; leave out 'frame'"
    yield from _missing("frame", "landmark", frame["ground"], [entry["id"] for entry in data["landmarks"]])
    yield from _missing(
        "frame", "axis", [*frame["lateral"], *frame["distal"]], [entry["id"] for entry in data.get("axes", [])]
    )
    if frame["source"] not in data["sources"]:
        hint = _hint(frame["source"], data["sources"])
        yield f"frame: source '{frame['source']}' is not defined under 'sources'{hint}"


def _sources(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "source" in entry:
        yield "", entry["source"]
    for key in ("regions", "grades", "criteria"):
        for i, inner in enumerate(entry.get(key, [])):
            if isinstance(inner, Mapping):
                yield f"{key}[{i}]: ", inner["source"]


def _unknown_references(tables: Mapping[str, Any]) -> Iterator[str]:
    ids = {name: [entry["id"] for entry in tables[name]] for name in _TABLES}
    points = ids["landmarks"] + ids["points"]
    for place, landmark in _entries(tables, "landmarks"):
        yield from _missing(place, "group", [landmark["group"]], ids["groups"])
    for place, point in _entries(tables, "points"):
        yield from _missing(place, "landmark", point["mean_of"], points)
    for place, axis in _entries(tables, "axes"):
        yield from _missing(
            place, "landmark", [*axis.get("start", []), *axis.get("end", []), *axis.get("points", [])], points
        )
        yield from _missing(place, "axis", _made_from(axis), ids["axes"])
    for place, plane in _entries(tables, "planes"):
        if "vector" not in plane and "axis" not in plane:
            yield f"{place}: give its normal by 'vector' or 'axis'"
        if plane.get("cross") and not ("vector" in plane and "axis" in plane):
            yield f"{place}: 'cross' needs both 'vector' and 'axis'"
        yield from _missing(place, "axis", [plane["axis"]] if "axis" in plane else [], ids["axes"])
    for place, column in _entries(tables, "columns"):
        for vertebra in column["vertebrae"]:
            yield from _missing(
                f"{place}: vertebra '{vertebra['id']}'", "landmark", vertebra["corners"], ids["landmarks"]
            )
    for place, finding in _entries(tables, "findings"):
        for criterion in finding["criteria"]:
            yield from _missing(place, "measurement", _measured(criterion), ids["measurements"])


def _made_from(entry: Mapping[str, Any]) -> list[str]:
    """Axes that an axis, or points that a derived point, is made from."""
    return [*entry.get("axes", []), *([entry["towards"]] if "towards" in entry else []), *entry.get("mean_of", [])]


def _measured(joined: Mapping[str, Any]) -> Iterator[str]:
    """Measurements that conditions, joined and perhaps joined again, compare."""
    for condition in joined.get("any", joined.get("all", [])):
        if "measurement" in condition:
            yield condition["measurement"]
        else:
            yield from _measured(condition)


def _missing(place: str, kind: str, wanted: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    for name in wanted:
        if name not in known:
            yield f"{place}: {kind} '{name}' is not defined{_hint(name, known)}"


def _hint(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _cycles(tables: Mapping[str, Any]) -> Iterator[str]:
    """Derived points made from each other, or axes made from each other."""
    for name in ("points", "axes"):
        links = {entry["id"]: _made_from(entry) for entry in tables[name]}
        places = {entry["id"]: place for place, entry in _entries(tables, name)}
        reported: set[str] = set()
        for start in links:
            cycle = _cycle_from(start, links)
            if cycle and not reported & set(cycle):
                reported |= set(cycle)
                yield f"{places[start]}: is made from itself: {' -> '.join(cycle)}; break the cycle"


def _cycle_from(start: str, links: Mapping[str, list[str]]) -> list[str]:
    """A path from ``start`` back to it, or an empty list."""
    stack, visited = [[start]], set()
    while stack:
        path = stack.pop()
        for following in links.get(path[-1], []):
            if following == start:
                return [*path, start]
            if following not in visited:
                visited.add(following)
                stack.append([*path, following])
    return []


def _column_faults(tables: Mapping[str, Any]) -> Iterator[str]:
    for place, column in _entries(tables, "columns"):
        ids = [vertebra["id"] for vertebra in column["vertebrae"]]
        for name in sorted({name for name in ids if ids.count(name) > 1}):
            yield f"{place}: vertebra '{name}' stands twice in it"
        discs = [f"{upper}/{lower}" for upper, lower in pairwise(ids)]
        order = {level: 2 * k for k, level in enumerate(ids)} | {level: 2 * k + 1 for k, level in enumerate(discs)}
        yield from _region_faults(place, column["regions"], order)


def _region_faults(place: str, regions: list[Mapping[str, Any]], order: Mapping[str, int]) -> Iterator[str]:
    """``order``: place of each level (vertebra or disc) of the column, counted from the top."""
    taken: dict[int, str] = {}
    for j, region in enumerate(regions):
        where = f"{place}: regions[{j}] '{region['id']}'"
        unknown = [level for level in (region["from"], region["to"]) if level not in order]
        for level in unknown:
            yield f"{where}: level '{level}' is no vertebra or disc of the column{_hint(level, order)}"
        if unknown:
            continue
        span = range(order[region["from"]], order[region["to"]] + 1)
        if not span:
            yield f"{where}: '{region['from']}' lies below '{region['to']}'; give the upper level first"
        for other in sorted({taken[level] for level in span if level in taken}):
            yield f"{where}: overlaps region '{other}'"
        taken.update(dict.fromkeys(span, region["id"]))


def _measurement_faults(tables: Mapping[str, Any], dimension: int) -> Iterator[str]:
    axes = [axis["id"] for axis in tables["axes"]]
    planes = ["image"] if dimension == 2 else [plane["id"] for plane in tables["planes"]]
    columns = {column["id"]: [region["id"] for region in column["regions"]] for column in tables["columns"]}
    points = [entry["id"] for name in ("landmarks", "points") for entry in tables[name]]
    lines = [axis["id"] for axis in tables["axes"] if axis["kind"] == "line"]
    for place, entry in _entries(tables, "measurements"):
        if entry["rule"] not in RULES:
            yield f"{place}: rule '{entry['rule']}' is not known; rules are {', '.join(RULES)}"
            continue
        for key in _NEEDED[entry["rule"]]:
            if key not in entry:
                yield f"{place}: rule '{entry['rule']}' needs '{key}'"
        yield from _missing(place, "axis", [*entry.get("axes", []), *entry.get("sense", [])], axes)
        yield from _missing(place, "landmark", [entry["point"]] if "point" in entry else [], points)
        if entry["rule"] == OFFSET:
            yield from _missing(place, "axis of kind 'line'", entry.get("axes", [])[:1], lines)
        if entry["unit"] != UNITS[entry["rule"]]:
            yield f"{place}: rule '{entry['rule']}' gives '{UNITS[entry['rule']]}', not '{entry['unit']}'"
        yield from _missing(place, "plane", [entry["plane"]] if entry["plane"] is not None else [], planes)
        yield from _missing(place, "column", [entry["column"]] if "column" in entry else [], columns)
        yield from _missing(place, "region", entry.get("regions", []), columns.get(entry.get("column"), []))
        if entry["plane"] is None and dimension == 2:
            yield f"{place}: on a radiograph the plane is 'image'"
        elif entry["rule"] == OFFSET and entry["plane"] is None:
            yield f"{place}: an offset in space has no side; name a plane"
        elif entry.get("signed") and entry["plane"] is None:
            yield f"{place}: an angle in space has no sign; name a plane"
        yield from _sign_faults(place, entry)


def _sign_faults(place: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("signed") and entry.get("folded"):
        yield f"{place}: a folded angle has no sign; leave out 'signed' or 'folded'"
    if "sense" in entry and not entry.get("signed"):
        yield f"{place}: 'sense' says which turn is positive, so the angle must be 'signed'"
    for key in ("positive", "mirrored"):
        if "sense" in entry and key in entry:
            yield f"{place}: landmarks tell the sign by 'sense'; leave out '{key}'"
    for key in ("signed", "folded"):
        if entry.get("complement") and entry.get(key):
            yield f"{place}: an angle with a plane ('complement') has its own sign; leave out '{key}'"
