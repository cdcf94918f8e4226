"""Review: go through the landmarks, the least certain first, and vouch for them."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from OrthoAnglesLib.landmark_steps import closeUp, pixelSteps
from OrthoAnglesLib.slice_views import zoomTo
from OrthoAnglesLib.tables import Table

_LANDMARK, _CONFIDENCE, _STATE = range(3)


class ReviewSection:
    """A row per landmark, in an order that stays while the reader works."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._order: list[str] = []
        self._placing: str | None = None
        self._placeAll = False
        titles = [_("Landmark"), _("Confidence"), _("State")]
        self._table = Table(self._ui.reviewTable, titles, stretched=_LANDMARK)
        self._ui.reviewTable.connect("itemSelectionChanged()", self._selected)
        self._connectButtons()

    def _connectButtons(self) -> None:
        for button, action in (
            (self._ui.previousButton, lambda: self._step(-1)),
            (self._ui.nextButton, lambda: self._step(1)),
            (self._ui.acceptButton, self._accept),
            (self._ui.placeAgainButton, self._placeAgain),
            (self._ui.resetPointButton, lambda: self._change(lambda s, landmark: s.reset_point(landmark))),
            (self._ui.undoButton, lambda: self._panel.session.undo()),
            (self._ui.redoButton, lambda: self._panel.session.redo()),
            (self._ui.confirmButton, self._confirm),
        ):
            button.connect("clicked()", action)

    def keyActions(self) -> dict:
        """What the keys do with the selected landmark; see ``keyboard.KEYS``."""
        return {
            "nextLandmark": lambda: self._step(1),
            "previousLandmark": lambda: self._step(-1),
            "accept": lambda: self._onLandmark(self._accept),
            "place": lambda: self._onLandmark(self._placeAgain),
            "unset": lambda: self._onLandmark(lambda: self._change(lambda s, landmark: s.unset_point(landmark))),
            "reset": lambda: self._onLandmark(self._resetPoint),
            "nudge": lambda *steps: self._onLandmark(lambda: self._nudge(steps)),
            "undo": lambda: self._onSession(lambda session: session.undo()),
            "redo": lambda: self._onSession(lambda session: session.redo()),
        }

    def _onSession(self, action) -> None:
        """A key does nothing where there is nothing to do it to."""
        if self._panel.session is not None:
            action(self._panel.session)

    def _onLandmark(self, action) -> None:
        self._onSession(lambda session: action() if self._landmark() is not None else None)

    def _resetPoint(self) -> None:
        if self._panel.session.prediction is not None:
            self._change(lambda session, landmark: session.reset_point(landmark))

    def _nudge(self, steps: tuple[int, int, int]) -> None:
        """Move the landmark by whole pixels: right, down and, in a volume, back."""
        session, landmark = self._panel.session, self._landmark()
        point = session.points[session.protocol.index(landmark)]
        if np.isfinite(point).all():
            self._change(lambda session, landmark: session.set_point(landmark, point + pixelSteps(session, steps)))
            session.jump_to(landmark)

    # Showing

    def showSession(self, session) -> None:
        """Fill the table anew; None empties it."""
        self._placing, self._placeAll = None, False
        self._order = [] if session is None else self._byConfidence(session)
        self._table.clear(len(self._order))
        self.refreshRows()

    def updateSession(self, session) -> None:
        """Go on when the landmark that was asked for is placed; the rows follow by :meth:`refreshRows`."""
        if self._placing and np.isfinite(session.points[session.protocol.index(self._placing)]).all():
            # The click that placed it is still being handled; it would end the next placement too.
            qt.QTimer.singleShot(0, self._placed)

    def refresh(self) -> None:
        """Enable what can be done now."""
        session = self._panel.session
        chosen = session is not None and self._landmark() is not None
        for button in (self._ui.previousButton, self._ui.nextButton, self._ui.undoButton, self._ui.redoButton):
            button.enabled = session is not None
        for button in (self._ui.acceptButton, self._ui.placeAgainButton):
            button.enabled = chosen
        self._ui.resetPointButton.enabled = chosen and session.prediction is not None
        reader = self._panel.parameters.reader.strip() if self._panel.parameters else ""
        self._ui.confirmButton.enabled = session is not None and bool(reader)
        self._ui.confirmButton.toolTip = (
            _("Say that all landmarks were reviewed, in the name of {reader}.").format(reader=reader)
            if reader
            else _("Enter the reader under 'Worklist and export' first.")
        )
        self._ui.reviewStateLabel.text = self._stateText(session)

    def refreshRows(self) -> None:
        """Show how the landmarks stand."""
        session = self._panel.session
        if session is not None:
            states, confidence = self._states(session), session.confidence
            for row, landmark in enumerate(self._order):
                sure = confidence[session.protocol.index(landmark)]
                self._showRow(row, session.protocol.landmark(landmark), sure, states[landmark])
        self.refresh()

    def _showRow(self, row: int, definition, confidence: float, state: str) -> None:
        self._table.show(row, _LANDMARK, definition.name, f"{definition.id}: {definition.description}")
        known = not np.isnan(confidence)
        text, rank = (f"{confidence:.0%}", float(1 - confidence)) if known else ("", None)
        self._table.show(row, _CONFIDENCE, text, rank=rank)
        self._table.show(row, _STATE, state)

    @staticmethod
    def _byConfidence(session) -> list[str]:
        # Stable: equally uncertain landmarks keep the protocol's order; those without confidence come first.
        confidence = np.nan_to_num(session.confidence, nan=-1.0)
        return [session.protocol.landmark_ids[k] for k in np.argsort(confidence, kind="stable")]

    @staticmethod
    def _states(session) -> dict[str, str]:
        placed = np.isfinite(session.points).all(axis=1)
        proposed = np.isfinite(session.predicted_points).all(axis=1)
        confirmed, corrected = session.confirmed_landmarks, session.corrected_landmarks
        states = {}
        for landmark, here, was in zip(session.protocol.landmark_ids, placed, proposed, strict=True):
            if landmark in confirmed:
                states[landmark] = _("accepted") if here else _("not visible")
            elif not here:
                states[landmark] = _("missing")
            elif landmark in corrected:
                states[landmark] = _("moved") if was else _("placed")
            else:
                states[landmark] = _("as predicted")
        return states

    def _stateText(self, session) -> str:
        if session is None:
            return ""
        seen = len(session.confirmed_landmarks)
        return {
            "new": _("No landmark is placed yet."),
            "predicted": _("As the network proposed; {seen} of {count} landmarks accepted."),
            "corrected": _("Corrected; {seen} of {count} landmarks accepted."),
            "confirmed": _("Confirmed by {reader}."),
        }[session.review_state].format(seen=seen, count=len(self._order), reader=session.reader)

    # Going through

    def _landmark(self) -> str | None:
        """The selected one."""
        row = self._row()
        return self._order[row] if 0 <= row < len(self._order) else None

    def _row(self) -> int:
        """The selected one, -1 for none: a table that gets the focus has a current row that nobody selected."""
        return self._ui.reviewTable.currentRow() if self._ui.reviewTable.selectedItems() else -1

    def _selected(self) -> None:
        session, landmark = self._panel.session, self._landmark()
        if session is not None and landmark is not None:
            if self._ui.zoomCheckBox.checked:
                zoomTo(closeUp(session.points))
            session.jump_to(landmark)
        self.refresh()

    def _step(self, by: int) -> None:
        count = len(self._order)
        if not count:
            return
        row = self._row()
        start = row if row >= 0 else (-1 if by > 0 else 0)
        self._ui.reviewTable.selectRow((start + by) % count)

    def _accept(self) -> None:
        self._change(lambda session, landmark: session.confirm_landmark(landmark))
        self._step(1)

    def _change(self, change) -> None:
        with slicer.util.tryWithErrorDisplay(_("The landmark could not be changed.")):
            change(self._panel.session, self._landmark())

    # Placing

    def placeAll(self) -> None:
        """Place the missing landmarks one after the other."""
        self._placeAll = True
        self._placeNext()

    def _placeAgain(self) -> None:
        self._placeAll = False
        self._startPlacing(self._landmark())

    def _startPlacing(self, landmark: str) -> None:
        self._placing = None
        self._change(lambda session, _landmark: session.start_placing(landmark))
        self._placing = landmark
        self._ui.reviewStateLabel.text = self._instruction(landmark)

    def _instruction(self, landmark: str) -> str:
        definition = self._panel.session.protocol.landmark(landmark)
        return _("Click in the image to place {name}: {description}").format(
            name=definition.name, description=definition.description
        )

    def _placed(self) -> None:
        if self._placing is None or self._panel.session is None:
            return
        self._placing = None
        if self._placeAll:
            self._placeNext()

    def _placeNext(self) -> None:
        session = self._panel.session
        missing = np.isnan(session.points).any(axis=1)
        for landmark in self._order:
            if missing[session.protocol.index(landmark)]:
                self._ui.reviewTable.selectRow(self._order.index(landmark))
                self._startPlacing(landmark)
                return
        self._placeAll = False

    def _confirm(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("The review could not be confirmed.")):
            self._panel.session.confirm(self._panel.parameters.reader.strip())
        self._panel.refresh()
