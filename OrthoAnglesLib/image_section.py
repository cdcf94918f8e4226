"""Image: which volume, which protocol, side and age."""

import qt
import slicer
from slicer.i18n import tr as _

from OrthoAnglesLib.parameters import Side

_FILES = "(*.dcm *.dicom *.png *.jpg *.jpeg *.tif *.tiff *.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd *)"


class ImageSection:
    """Top of the panel. The facts belong to the image: they are read from its volume node and stated there."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._shown = self._facts = None
        for offer in panel.offers():
            self._ui.protocolComboBox.addItem(self._offerText(offer), offer.id)
        self._ui.protocolComboBox.connect("currentIndexChanged(int)", self._protocolChosen)
        self._ui.loadImageButton.connect("clicked()", self._load)
        self._ui.loadFolderButton.connect("clicked()", self._loadFolder)
        self._ui.loadFolderButton.visible = any(offer.inSpace for offer in panel.offers())

    @staticmethod
    def _offerText(offer) -> str:
        if not offer.available:
            return _("{name} (not yet available)").format(name=offer.name)
        return offer.name if offer.hasNetwork else _("{name} (by hand)").format(name=offer.name)

    def refresh(self) -> None:
        """Show what the parameters say."""
        parameters = self._panel.parameters
        index = self._ui.protocolComboBox.findData(parameters.protocolId)
        if index < 0:
            parameters.protocolId = self._panel.offers()[0].id
            return
        self._ui.protocolComboBox.currentIndex = index
        for widget in (self._ui.sideLabel, self._ui.sideComboBox):
            widget.visible = self._panel.offers()[index].sided
        volume = parameters.volume
        for widget in (self._ui.sideComboBox, self._ui.ageSpinBox):
            widget.enabled = volume is not None
        self._follow(volume)
        self._ui.imageInfoLabel.text = self._description(volume)

    def forget(self) -> None:
        """The scene is closed: what comes next is not another image that somebody chose."""
        self._shown = self._facts = None

    def _follow(self, volume) -> None:
        """Take side and age from the image where it, or what is known of it, is new; else state them."""
        logic, parameters, before = self._panel.logic, self._panel.parameters, self._shown
        if volume is not before or (volume is not None and logic.imageFacts(volume) != self._facts):
            self._shown = volume
            self._readFacts(volume)
            if volume is not before and volume is not None and before is not None:
                logic.showImage(volume)
        elif volume is not None:
            logic.setImageFacts(volume, parameters.side.value or None, parameters.age or None)
            self._facts = logic.imageFacts(volume)

    def _readFacts(self, volume) -> None:
        facts = self._panel.logic.imageFacts(volume) if volume is not None else {}
        self._facts, parameters = facts, self._panel.parameters
        with slicer.util.NodeModify(parameters):
            known = {side.value: side for side in Side}
            parameters.side = known.get(facts.get("laterality") or "", Side.UNKNOWN)
            parameters.age = min(max(facts.get("patient_age") or 0.0, 0.0), 120.0)

    def _description(self, volume) -> str:
        if volume is None or volume.GetImageData() is None:
            return _("Choose or load an image.")
        columns, rows, slices = volume.GetImageData().GetDimensions()
        x, y, z = volume.GetSpacing()
        size = _("{columns} x {rows} pixels").format(columns=columns, rows=rows)
        text = _("{size} of {x:.3g} x {y:.3g} mm.").format(size=size, x=x, y=y)
        if slices > 1:
            size = _("{columns} x {rows} x {slices} voxels").format(columns=columns, rows=rows, slices=slices)
            text = _("{size} of {x:.3g} x {y:.3g} x {z:.3g} mm.").format(size=size, x=x, y=y, z=z)
        if self._panel.logic.imageFacts(volume)["spacing_source"] is None:
            text = _("{size}; pixel size unknown: angles are measured, lengths are not.").format(size=size)
        if self._panel.logic.sideFromImage(volume):
            text += "\n" + _("The side is told from the image, by the landmarks: choose the other if it is wrong.")
        return text

    def _protocolChosen(self, index: int) -> None:
        self._panel.parameters.protocolId = self._ui.protocolComboBox.itemData(index)

    def _load(self) -> None:
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Load an image"), "", _("Images") + " " + _FILES
        )
        if path:
            self.load(path)

    def _loadFolder(self) -> None:
        path = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Load the folder of a CT series"))
        if path:
            self.load(path)

    def load(self, path: str) -> None:
        """Read a file, or the folder of a series, show it and choose it."""
        with slicer.util.tryWithErrorDisplay(_("The image could not be loaded."), waitCursor=True):
            self._panel.parameters.volume = self._panel.logic.loadImage(path)
