"""Scripted module: Cobb angles on frontal spine radiographs."""

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
from OrthoAnglesLib.offers import ProtocolOffer
from OrthoAnglesLib.sample_data import registerSpineSample
from OrthoAnglesLib.self_test import checkModule
from OrthoAnglesLib.widget import OrthoAnglesWidget


class CobbModule(ScriptedLoadableModule):
    """What the module tells about itself."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Cobb Angles")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        self.parent.dependencies = []
        self.parent.contributors = module_texts.CONTRIBUTORS
        self.parent.helpText = (
            _(
                "Measures Cobb angles on AP spine radiographs. A network proposes the four corners of the vertebrae "
                "T1 to L5; drag any of them and every angle follows at once."
            )
            + module_texts.helpText()
        )
        self.parent.acknowledgementText = module_texts.acknowledgement()
        slicer.app.connect("startupCompleted()", registerSpineSample)


class CobbModuleWidget(OrthoAnglesWidget):
    """The shared panel with the spine's protocol."""

    def offers(self) -> tuple:
        return (ProtocolOffer("spine-ap-cobb", _("Spine AP, Cobb angles"), sided=False),)

    def makeLogic(self):
        return CobbModuleLogic()


class CobbModuleLogic(OrthoAnglesLogic):
    """Images, network, measurement and export; ``process`` does it all from a script."""


class CobbModuleTest(ScriptedLoadableModuleTest):
    """Run by ctest in Slicer's build; the suites in Testing go deeper without a Slicer."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.delayDisplay("Measuring landmarks placed by a script")
        checkModule(CobbModuleLogic(), "spine-ap-cobb")
        self.delayDisplay("Test passed")
