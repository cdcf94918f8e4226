"""What each reader made of one image: told by the dataset's cases, and by the reader's own notes."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from orthoangles.annotation.dataset import Case
from orthoangles.annotation.worklist.notes import ImageNote
from orthoangles.annotation.worklist.saved_work import SavedWork
from orthoangles.annotation.worklist.sources import image_digest
from orthoangles.annotation.worklist.states import DONE, STATES, ReaderState, least


def reader_states(
    notes: Mapping[str, ImageNote],
    cases: Collection[Case],
    subjects: int,
    reader: str,
    work: Mapping[str, SavedWork],
) -> tuple[ReaderState, ...]:
    """How far each reader is with an image that shows ``subjects`` feet, or one spine.

    ``notes`` are those of each reader about the image, ``cases`` what the dataset has of it, ``work`` what ``reader``
    has not exported yet, by the view's digest.
    """
    by_reader: dict[str, list[ReaderState]] = defaultdict(list)
    for case in cases:
        state = _state_of(case)
        if state is not None and (state.reader != reader or image_digest(case) not in work):
            by_reader[state.reader].append(state)
    for each in work.values():
        by_reader[reader].append(ReaderState(reader, each.state, at=each.at))
    found = {name: _of_all_feet(states, subjects) for name, states in by_reader.items()}
    for name, note in notes.items():
        # A correction that came later took the rejection back.
        if note.rejection is not None and (name not in found or note.rejection.at > found[name].at):
            found[name] = ReaderState(name, "rejected", note.rejection.reason, note.rejection.at)
    return tuple(found[name] for name in sorted(found))


def _of_all_feet(states: Sequence[ReaderState], subjects: int) -> ReaderState:
    """One reader's state of an image: done only when every foot is."""
    state = least(each.state for each in states)
    if len(states) < subjects and state in DONE:
        state = "corrected"
    chosen = next((each for each in states if each.state == state), states[0])
    return replace(chosen, state=state, at=max(each.at for each in states))


def _state_of(case: Case) -> ReaderState | None:
    """What a case says of its reader; None for labels that came from elsewhere."""
    review = case.provenance.get("review")
    if not isinstance(review, Mapping):
        return None
    state = review.get("state")
    return ReaderState(
        str(review.get("reader") or ""),
        state if state in STATES else "corrected",
        str(review.get("reason") or ""),
        str(case.provenance.get("exported") or ""),
    )
