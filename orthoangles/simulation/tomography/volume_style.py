"""How a WBCT volume looks and what it shows: field of view, tissue, scanner; all that is drawn by chance, as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from orthoangles.simulation.tomography.ct_artefacts import Detector
from orthoangles.simulation.tomography.soft_tissue import SoftTissueStyle, random_soft_tissue_style

VIEWS = ("foot", "ankle", "forefoot", "both")


@dataclass(frozen=True)
class VolumeStyle:
    """Everything that varies between volumes of one posed foot; the defaults are a plain, noise-free scan for tests.

    - ``view``: "foot" whole, "ankle" (tarsus whole, metatarsals cut), "forefoot" (tarsus cut) or "both" feet;
      ``height`` mm shown above the ground, ``margin`` mm of air about the foot; ``neighbour`` mm between the two feet's
      ankles where the other foot is in view, else None; ``turn`` degrees the foot is turned in (toes to lateral +);
    - ``cylinder``: radius of the field of view over the least one that holds the box, None for a box;
      ``cone_slope``: rise of its ends per mm from the axis; ``fill`` HU outside;
    - ``floor``: thickness mm and HU of the floor plate's layers from the top, empty for none;
    - ``cortex`` HU of compact bone, ``density`` factor on the trabeculae, ``strut_spacing`` mm, ``strut_contrast``;
    - ``blur`` mm (Gaussian SD of the scanner's point spread), ``edge`` (gain of a sharpening kernel, 0 none),
      ``noise`` HU (SD in empty air), ``noise_cutoff`` cycles per mm, ``detector`` errors (None: an ideal scanner),
      ``rings`` HU, ``offset`` and ``gain``: HU = gain (HU + 1000) - 1000 + offset, as scanners are badly calibrated;
    - ``motion`` mm and share of the ghost of a foot that moved; ``metal``: whether implants are drawn.
    """

    view: str = "foot"
    height: float = 120.0
    margin: float = 12.0
    neighbour: float | None = None
    turn: float = 0.0
    cylinder: float | None = None
    cone_slope: float = 0.0
    fill: float = -1000.0
    floor: tuple[tuple[float, float], ...] = ()
    soft: SoftTissueStyle = field(default_factory=SoftTissueStyle)
    cortex: float = 1550.0
    density: float = 1.0
    strut_spacing: float = 0.9
    strut_contrast: float = 1.0
    blur: float = 0.0
    edge: float = 0.0
    noise: float = 0.0
    noise_cutoff: float = 0.25
    detector: Detector | None = None
    rings: float = 0.0
    offset: float = 0.0
    gain: float = 1.0
    motion: tuple[float, float] | None = None
    metal: bool = False

    def as_json(self) -> dict[str, Any]:
        """JSON types, for the manifest."""
        return asdict(self)


plain = VolumeStyle()
"""A whole foot in air, without floor, noise, blur or errors: what tests compare with."""


def random_volume_style(rng: np.random.Generator) -> VolumeStyle:
    """A scan as clinics differ: mostly whole feet, a real scanner's errors, now and then metal or a moving patient.

    Ranges are inferred; those of blur, noise and detector enclose what tools/compare_wbct.py measures on a real scan.
    """
    view = str(rng.choice(VIEWS, p=(0.62, 0.2, 0.1, 0.08)))
    beside = view == "both" or rng.random() < 0.3
    detector = Detector(
        scatter=float(rng.gamma(2.0, 0.006)),
        hardening=float(rng.uniform(0.05, 0.7)),
        noise=float(rng.uniform(0.0, 0.004)),
        views=60,
    )
    return VolumeStyle(
        view=view,
        height=float(rng.uniform(85, 150)),
        margin=float(rng.uniform(6, 25)),
        neighbour=float(rng.uniform(115, 190)) if beside else None,
        turn=float(rng.normal(0, 7)),
        cylinder=float(rng.uniform(0.8, 1.05)) if view != "both" and rng.random() < 0.7 else None,
        cone_slope=float(rng.uniform(0.03, 0.12)) if rng.random() < 0.4 else 0.0,
        fill=float(rng.choice([-1000.0, -1024.0])),
        floor=_random_floor(rng),
        soft=random_soft_tissue_style(rng),
        cortex=float(rng.uniform(1350, 1850)),
        density=float(np.clip(rng.normal(1.0, 0.22), 0.45, 1.6)),
        strut_spacing=float(rng.uniform(0.75, 1.15)),
        strut_contrast=float(rng.uniform(0.7, 1.2)),
        blur=float(rng.uniform(0.22, 0.5)),
        edge=float(rng.uniform(0.0, 0.6)) if rng.random() < 0.4 else 0.0,
        noise=float(rng.uniform(3.0, 14.0)),
        noise_cutoff=float(rng.uniform(0.17, 0.45)),
        detector=detector,
        rings=float(rng.uniform(2, 12)) if rng.random() < 0.2 else 0.0,
        offset=float(rng.normal(0, 20)),
        gain=float(rng.uniform(0.95, 1.12)),
        motion=(float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.1, 0.35))) if rng.random() < 0.1 else None,
        metal=bool(rng.random() < 0.12),
    )


def _random_floor(rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """No plate in view, a solid plastic one, or a sandwich of carbon skins about foam (HU inferred)."""
    kind = rng.random()
    if kind < 0.25:
        return ()
    if kind < 0.6:
        return ((float(rng.uniform(4, 12)), float(rng.uniform(-80, 200))),)
    skin, foam = float(rng.uniform(1.0, 2.5)), float(rng.uniform(6, 20))
    return (
        (skin, float(rng.uniform(50, 350))),
        (foam, float(rng.uniform(-950, -700))),
        (skin, float(rng.uniform(50, 350))),
    )
