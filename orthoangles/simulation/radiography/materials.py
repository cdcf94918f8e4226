"""How strongly the materials of a foot radiograph attenuate X-rays, and the spectrum of a tube.

Mass attenuation coefficients and densities are those of the tables of Hubbell and Seltzer (NIST Standard Reference
Database 126; body tissues after ICRU report 44). Cortical bone and aluminium were compared with copies of the tables in
public programs; the others were written down from memory and not looked up: they serve pictures, not dosimetry.
"""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

ENERGIES = np.array([20.0, 30.0, 40.0, 50.0, 60.0])
"""Photon energies in keV of the bins."""


@dataclass(frozen=True)
class Material:
    """``density`` in g/cm3 and mass attenuation in cm2/g at :data:`ENERGIES`."""

    density: float
    mass_attenuation: tuple[float, ...]

    @property
    def attenuation(self) -> np.ndarray:
        """Linear attenuation (5,) per mm at :data:`ENERGIES`."""
        return np.array(self.mass_attenuation) * self.density / 10.0


MATERIALS = MappingProxyType(
    {
        "soft": Material(1.06, (0.8230, 0.3790, 0.2688, 0.2264, 0.2048)),
        "fat": Material(0.95, (0.5677, 0.3063, 0.2396, 0.2123, 0.1974)),
        "cortex": Material(1.92, (4.001, 1.331, 0.6655, 0.4242, 0.3148)),
        "aluminium": Material(2.70, (3.441, 1.128, 0.5685, 0.3681, 0.2778)),
        "titanium": Material(4.54, (15.85, 4.972, 2.214, 1.213, 0.7661)),
        "steel": Material(7.87, (25.68, 8.176, 3.629, 1.958, 1.205)),
        "acrylic": Material(1.19, (0.5714, 0.3032, 0.2350, 0.2074, 0.1924)),
        # Plywood: the coefficients of acrylic (both hydrocarbons with oxygen) at the density of plywood: inferred.
        "wood": Material(0.65, (0.5714, 0.3032, 0.2350, 0.2074, 0.1924)),
    }
)

TRABECULAR_SHARE = (0.14, 0.30)
"""Bone volume share of the trabecular inside of foot bones, porotic to dense (inferred: tarsals at 0.15 to 0.3)."""


def spectrum(kilovolt: float, filtration: float = 2.7) -> np.ndarray:
    """Share (5,) of the detected energy in each bin of :data:`ENERGIES` behind ``filtration`` mm of aluminium.

    Kramers' law (photons of energy E as kilovolt / E - 1) and a detector that takes in energy: no characteristic lines,
    which tungsten has not below 69.5 kV.
    """
    photons = np.clip(kilovolt / ENERGIES - 1.0, 0.0, None)
    detected = photons * np.exp(-MATERIALS["aluminium"].attenuation * filtration) * ENERGIES
    return detected / detected.sum()


def transmitted(paths: dict[str, np.ndarray], share: np.ndarray) -> np.ndarray:
    """Detected share (rows, columns) float32 of the beam behind ``paths``: material -> mm (rows, columns) float32.

    ``share`` (5,) as of :func:`spectrum`.
    """
    total = None
    for bin_, weight in enumerate(share):
        if weight < 1e-4:
            continue
        exponent = None
        for name, path in paths.items():
            part = path * np.float32(-MATERIALS[name].attenuation[bin_])
            exponent = part if exponent is None else np.add(exponent, part, out=exponent)
        if exponent is None:
            raise ValueError("transmitted: needs the path through at least one material.")
        np.exp(exponent, out=exponent)
        exponent *= np.float32(weight)
        total = exponent if total is None else np.add(total, exponent, out=total)
    return total
