"""What both modules say about themselves."""

from slicer.i18n import tr as _

CONTRIBUTORS = ["OrthoAngles contributors"]
HOMEPAGE = "https://github.com/OrthoAngles/SlicerOrthoAngles"


def helpText() -> str:
    """How the panel is used, and what it must not be used for."""
    steps = (
        _("Choose or load an image under <b>Image</b>."),
        _("<b>Place landmarks</b>: let the network propose them, or place them by hand."),
        _("<b>Review</b>: go through the landmarks, the least certain first, drag what is wrong, and confirm."),
        _("<b>Ground and 3D view</b>, of a CT volume: what is level, where the foot points, and what is shown."),
        _("<b>Measurements</b> follow every drag; copy or save them."),
        _("<b>Worklist and export</b>: write the correction to a dataset and open the next image."),
    )
    items = "".join(f"<li>{step}</li>" for step in steps)
    link = _('See the <a href="{url}">documentation</a>.').format(url=HOMEPAGE)
    return f"<ol>{items}</ol><p>{_('For research use only; not a medical device.')} {link}</p>"


def acknowledgement() -> str:
    """Whose work this builds on."""
    return _(
        "The network for Cobb angles follows the heterogeneous consistency method and was trained on the public "
        "AASCE 2019 data set. The networks for feet were trained on simulated images. Built on 3D Slicer, PyTorch "
        "and MONAI."
    )
