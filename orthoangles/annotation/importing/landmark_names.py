"""Whose landmark is a keypoint or label of another tool: by its name, or by its place in the list."""

import difflib
import re
from collections.abc import Sequence

from orthoangles.annotation.importing.report import SourceNames
from orthoangles.errors import DatasetError

MATCHES = ("name", "order")


def match_landmarks(labels: Sequence[str], protocol, match: str, names: SourceNames, what: str = "label") -> list[int]:
    """Row in the protocol's landmarks of each label.

    ``name``: a label is the id or the name of a landmark, whatever its capitals, spaces and dashes. ``order``: the
    first label is the first landmark and so on, and there must be as many. Raises DatasetError; guessing would swap
    landmarks.
    """
    if match == "order":
        return _by_order(labels, protocol, what)
    known = _known(protocol)
    rows = [known.get(_plain(label)) for label in labels]
    strange = [i for i, row in enumerate(rows) if row is None]
    if strange:
        raise DatasetError(_unknown(labels, strange, protocol, names, what))
    twice = next((i for i, row in enumerate(rows) if row in rows[:i]), None)
    if twice is not None:
        raise DatasetError(
            f"landmark '{protocol.landmark_ids[rows[twice]]}' stands there twice; delete one of the two."
        )
    return rows


def find_protocol(labels: Sequence[str], protocol_id: str | None, match: str):
    """The protocol of that id, else the only one that knows all the labels. Raises DatasetError or ProtocolError."""
    from orthoangles.protocols import available_protocols, load_protocol

    if protocol_id:
        return load_protocol(protocol_id)
    if match == "order":
        raise DatasetError("to take keypoints by their order, name the protocol with --protocol.")
    wanted = {_plain(label) for label in labels}
    fitting = [p for p in map(load_protocol, available_protocols()) if wanted <= _known(p).keys()]
    if len(fitting) != 1 or not wanted:
        what = f"more than one protocol ({', '.join(p.id for p in fitting)})" if fitting else "no protocol"
        raise DatasetError(f"its labels fit {what}; name it with --protocol.")
    return fitting[0]


def _plain(label: str) -> str:
    return re.sub(r"[\W_]+", "", str(label).casefold())


def _known(protocol) -> dict[str, int]:
    """Plain ids and names to rows; a name that two landmarks share tells neither, and an id goes before a name."""
    found: dict[str, int | None] = {}
    for row, landmark in enumerate(protocol.landmarks):
        key = _plain(landmark.name)
        found[key] = None if key in found else row
    found.update({_plain(landmark_id): row for row, landmark_id in enumerate(protocol.landmark_ids)})
    return {key: row for key, row in found.items() if row is not None and key}


def _by_order(labels: Sequence[str], protocol, what: str) -> list[int]:
    if len(labels) != len(protocol.landmarks):
        raise DatasetError(
            f"there are {len(labels)} {what}s, but protocol {protocol.id} has {len(protocol.landmarks)} landmarks "
            f"({protocol.landmark_ids[0]} ... {protocol.landmark_ids[-1]}); by order they must be as many."
        )
    return list(range(len(labels)))


def _unknown(labels: Sequence[str], strange: list[int], protocol, names: SourceNames, what: str) -> str:
    first = strange[0]
    more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
    near = difflib.get_close_matches(str(labels[first]), protocol.landmark_ids, n=1)
    hint = f"nearest is '{near[0]}'" if near else f"they are {protocol.landmark_ids[0]} ... {protocol.landmark_ids[-1]}"
    return (
        f"{names.label(labels[first], first + 1, what)}{more} is no landmark of protocol {protocol.id}, {hint}; "
        "rename it, name another protocol with --protocol, or give --match order where all landmarks are there in the "
        "protocol's order."
    )
