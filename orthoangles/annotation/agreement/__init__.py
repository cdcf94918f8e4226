"""How far readers of the same images agree with each other, with themselves and with the model.

Example::

    agreement = find_agreement(["readings_lee", "readings_kim"])
    for angle in agreement.angles:
        print(angle.name, angle.comparisons[0].icc, angle.comparisons[0].figures.limits)
    agreement.outliers[0].readings[0].case.id      # a case to look at again

The definitions stand in docs/AGREEMENT.md.
"""

from orthoangles.annotation.agreement.finding import Agreement, find_agreement

__all__ = ["Agreement", "find_agreement"]
