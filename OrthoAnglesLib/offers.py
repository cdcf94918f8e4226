"""Which protocols a module offers, present or to come."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProtocolOffer:
    """A protocol by its id, with the name that the panel shows.

    ``sided`` where left and right limbs differ; ``inSpace`` where it measures volumes and not radiographs.
    """

    id: str
    name: str
    sided: bool = True
    inSpace: bool = False

    @property
    def available(self) -> bool:
        """Whether this version ships the protocol."""
        from orthoangles.protocols import available_protocols

        return self.id in available_protocols()

    @property
    def hasNetwork(self) -> bool:
        """Whether a network proposes its landmarks; without one they are placed by hand."""
        from orthoangles.protocols import shipped_bundle

        return self.available and bool(shipped_bundle(self.id))


def missingOffersNotice(offers: tuple[ProtocolOffer, ...]) -> str:
    """What a panel says of protocols that are still to come; empty when all are there."""
    from slicer.i18n import tr as _

    missing = [offer for offer in offers if not offer.available]
    if not missing:
        return ""
    names = "\n".join(f"  - {offer.name} ({offer.id})" for offer in missing)
    return _("Not available in this version, planned for this module:\n{names}").format(names=names)
