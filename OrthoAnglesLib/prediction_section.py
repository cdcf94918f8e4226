"""Place landmarks: run and cancel the network, see how it gets on."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from orthoangles.errors import PredictionCancelled

_POLL_EVERY_MS = 50
# Slicer's event loop may keep Python's interpreter lock; the thread runs while poll waits. Short enough for the mouse.
_POLL_WAIT_SECONDS = 0.01


class PredictionSection:
    """Polls the worker thread by a timer, so that the panel stays alive and Cancel works."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_EVERY_MS)
        self._timer.connect("timeout()", self._poll)
        self._ui.runButton.connect("clicked()", self._run)
        self._ui.cancelButton.connect("clicked()", self._cancel)
        self._ui.byHandButton.connect("clicked()", self._placeByHand)
        self._message = ""

    def refresh(self) -> None:
        """Enable what can be done now."""
        running = self._panel.logic.runner.running
        ready = self._panel.parameters.volume is not None and self._panel.protocolAvailable()
        self._ui.runButton.enabled = ready and self._panel.networkAvailable() and not running
        self._ui.cancelButton.enabled = running
        self._ui.byHandButton.enabled = ready and not running and self._panel.session is None
        self._ui.deviceComboBox.enabled = not running
        self._ui.progressBar.textVisible = running
        self._ui.runButton.toolTip = self._reason(ready)
        self._ui.predictionLabel.text = self._message if running or self._message else self._summary()

    def _reason(self, ready: bool) -> str:
        if not self._panel.protocolAvailable():
            return _("This protocol is not available yet.")
        if not self._panel.networkAvailable():
            return self._withoutNetwork()
        if ready:
            return _("Let the network propose all landmarks of this image.")
        return _("Choose or load an image first.")

    @staticmethod
    def _withoutNetwork() -> str:
        return _("No network is available for this protocol yet: place its landmarks by hand.")

    def _run(self) -> None:
        parameters = self._panel.parameters
        self._panel.worklist.pauseAhead()
        with slicer.util.tryWithErrorDisplay(_("The landmarks could not be placed."), waitCursor=True):
            self._panel.logic.startPrediction(parameters.volume, parameters.protocolId, parameters.device.value)
            self._progress(0.0, _("Loading the network..."))
            self._timer.start()
        self._panel.refresh()

    def _cancel(self) -> None:
        self._panel.logic.runner.cancel()
        self._ui.cancelButton.enabled = False
        self._message = self._ui.predictionLabel.text = _("Cancelling...")

    def _placeByHand(self) -> None:
        parameters = self._panel.parameters
        with slicer.util.tryWithErrorDisplay(_("The measurement could not be started."), waitCursor=True):
            session = self._panel.logic.createSession(parameters.volume, parameters.protocolId)
            self._message = ""
            self._panel.showSession(session)
            self._panel.review.placeAll()

    def _poll(self) -> None:
        report = self._panel.logic.runner.poll(_POLL_WAIT_SECONDS)
        if not report.finished:
            if report.message:
                self._progress(report.fraction, report.message)
            return
        self._timer.stop()
        self._progress(0.0, "")
        try:
            with slicer.util.tryWithErrorDisplay(_("The landmarks could not be placed."), waitCursor=True):
                self._take(report)
        finally:
            self._panel.refresh()

    def _take(self, report) -> None:
        try:
            subjects = report.result()
        except PredictionCancelled:
            self._message = _("Cancelled; nothing was changed.")
            return
        target, parameters = self._panel.logic.runner.target, self._panel.parameters
        sessions = self._panel.logic.takePrediction(subjects)
        chosen = parameters.volume
        self._panel.worklist.predictedByHand(target, subjects)
        if sessions and chosen is not None and chosen.GetID() == target.volumeId:
            parameters.volume = sessions[0].volume_node
            self._panel.image.refresh()
            self._panel.showSession(sessions[0])

    def _progress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(100 * fraction)
        self._message = message
        self._ui.predictionLabel.text = message

    def _summary(self) -> str:
        session = self._panel.session
        if session is None or session.prediction is None:
            missing = self._panel.protocolAvailable() and not self._panel.networkAvailable()
            return self._withoutNetwork() if missing else self._otherFeet()
        prediction = session.prediction
        lines = [
            _("Network {name} {version} on {device}.").format(
                name=prediction.model.name, version=prediction.model.version, device=prediction.device
            ),
            self._otherFeet(),
            self._confidence(prediction.confidence),
            *(_("Check the proposal: {reason}.").format(reason=reason) for reason in prediction.warnings),
        ]
        return "\n".join(line for line in lines if line)

    def _otherFeet(self) -> str:
        """Where this foot comes from, and where the other foot of the image is to be found."""
        volume, logic = self._panel.parameters.volume, self._panel.logic
        if volume is None:
            return ""
        source, others = logic.sourceImage(volume), logic.otherFeet(volume)
        lines = [_("An upright foot of '{image}'.").format(image=source.GetName())] if source is not None else []
        if others:
            names = ", ".join(f"'{each.GetName()}'" for each in others)
            lines.append(_("To see the other one, choose it as image: {names}.").format(names=names))
        return " ".join(lines)

    def _confidence(self, confidence: np.ndarray) -> str:
        known = confidence[np.isfinite(confidence)]
        if not len(known):
            return ""
        return _("Confidence {lowest:.0%} to {highest:.0%}, {median:.0%} in the middle.").format(
            lowest=known.min(), highest=known.max(), median=np.median(known)
        )

    def forgetMessage(self) -> None:
        """Another image is shown: what was said of the last one is over."""
        if not self._panel.logic.runner.running:
            self._message = ""

    def forget(self) -> None:
        """Stop watching the network, for example as the scene closes."""
        self._timer.stop()
        runner = self._panel.logic.runner
        runner.cancel()
        runner.target = None
        self._ui.progressBar.value = 0
        self._message = ""
        if runner.running:
            self._timer.start()

    def close(self) -> None:
        """End the timer with the panel."""
        self._timer.stop()
