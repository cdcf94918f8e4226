"""The table of the worklist."""

from collections.abc import Sequence

import numpy as np
from slicer.i18n import tr as _

from orthoangles.annotation.worklist import Entry, place_of
from OrthoAnglesLib.tables import Table

_IMAGE, _STATE, _CONFIDENCE, _READERS = range(4)


class WorklistTable:
    """A row per image."""

    def __init__(self, widget) -> None:
        self._widget = widget
        self._table = Table(widget, [_("Image"), _("State"), _("Confidence"), _("Readers")], stretched=_IMAGE)
        self._rows = 0

    @staticmethod
    def stateText(state: str) -> str:
        """A state in the user's language."""
        return {
            "new": _("new"),
            "predicted": _("predicted"),
            "corrected": _("corrected"),
            "confirmed": _("confirmed"),
            "rejected": _("rejected"),
        }[state]

    def show(self, entries: Sequence[Entry], current: Entry | str) -> None:
        """Show these images; ``current``, an entry or its key, is selected."""
        if len(entries) != self._rows:
            self._rows = len(entries)
            self._table.clear(self._rows)
        for row, entry in enumerate(entries):
            self._showRow(row, entry)
        place = place_of(entries, current)
        if place is None:
            self._widget.clearSelection()
        else:
            self._widget.selectRow(place)

    def _showRow(self, row: int, entry: Entry) -> None:
        self._table.show(row, _IMAGE, entry.name)
        state = self.stateText(entry.state)
        if entry.open_with:
            state = _("{state}, open at {reader}").format(state=state, reader=entry.open_with)
        self._table.show(row, _STATE, state, entry.reason or entry.failure)
        known = not np.isnan(entry.confidence)
        text, rank = (f"{entry.confidence:.0%}", float(1 - entry.confidence)) if known else ("", None)
        self._table.show(row, _CONFIDENCE, text, rank=rank)
        self._table.show(row, _READERS, ", ".join(each.reader for each in entry.readers))
