"""Scripted module: alignment of the foot on radiographs and weight-bearing CT."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

# Installed, the shared packages lie beside this file; in a checkout one folder up.
_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "OrthoAnglesLib").is_dir() and str(_CHECKOUT) not in sys.path:
    sys.path.append(str(_CHECKOUT))

from OrthoAnglesLib import module_texts
from OrthoAnglesLib.logic import OrthoAnglesLogic
from OrthoAnglesLib.offers import ProtocolOffer, missingOffersNotice
from OrthoAnglesLib.sample_data import registerFootSamples
from OrthoAnglesLib.self_test import checkModule
from OrthoAnglesLib.widget import OrthoAnglesWidget


class FootAngleModule(ScriptedLoadableModule):
    """What the module tells about itself."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Foot Angles")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = []
        self.parent.contributors = module_texts.CONTRIBUTORS
        self.parent.helpText = (
            _(
                "Measures the alignment of the foot on AP and lateral radiographs and on weight-bearing CT: hallux "
                "valgus, flat and high arch, hindfoot valgus, forefoot abduction. Either foot, toes to either "
                "side: the landmarks tell. A radiograph that lies on its side is turned upright, and of two feet each "
                "is measured as an image of its own. Where there is no network, place the landmarks by hand."
            )
            + module_texts.helpText()
        )
        self.parent.acknowledgementText = module_texts.acknowledgement()
        slicer.app.connect("startupCompleted()", registerFootSamples)


class FootAngleModuleWidget(OrthoAnglesWidget):
    """The shared panel with the foot's protocols."""

    def offers(self) -> tuple:
        return (
            ProtocolOffer("foot-ap-hallux", _("Foot AP, hallux valgus")),
            ProtocolOffer("foot-ap", _("Foot AP, alignment")),
            ProtocolOffer("foot-lateral", _("Foot lateral, alignment")),
            ProtocolOffer("foot-wbct", _("Foot weight-bearing CT, alignment"), inSpace=True),
        )

    def notice(self) -> str:
        return missingOffersNotice(self.offers())

    def makeLogic(self):
        return FootAngleModuleLogic()


class FootAngleModuleLogic(OrthoAnglesLogic):
    """Images, network, measurement and export; ``process`` does it all from a script."""


class FootAngleModuleTest(ScriptedLoadableModuleTest):
    """Run by ctest in Slicer's build; the suites in Testing go deeper without a Slicer."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.delayDisplay("Measuring landmarks placed by a script")
        checkModule(FootAngleModuleLogic(), "foot-ap-hallux")
        self.delayDisplay("Test passed")
