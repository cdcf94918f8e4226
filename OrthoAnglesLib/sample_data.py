"""The samples that ship with the extension, offered by Slicer's Sample Data module. Nothing is downloaded."""

from dataclasses import dataclass

from orthoangles.paths import resources_dir

CATEGORY = "OrthoAngles"


@dataclass(frozen=True)
class Sample:
    """An image by the extension's own simulation: its name in Sample Data, its file and that file's digest."""

    name: str
    fileName: str
    sha256: str


SPINE = Sample("SpineAP", "spine-ap-sample.png", "72adb26d271719f75407425d476291abbc74a0ce444c53125e3dce5b9bd0f901")
FOOT_AP = Sample("FootAP", "foot-ap-sample.png", "617cbc498bc54dd9835ef3808a9f9417abe8cbf207e8f21af53c76d04a8d0973")
FOOT_LATERAL = Sample(
    "FootLateral", "foot-lateral-sample.png", "33f7eaf8a35105a9d0e70680e2efd1563b9b57a65fc4b136c2b8c5a45cb5596f"
)
FOOT_WBCT = Sample(
    "FootWBCT", "foot-wbct-sample.nrrd", "aa745d12f9cdcba9e611b3978e6d3a451505ebd1779571f5cc3d987ecb76be84"
)


def registerSpineSample() -> None:
    """Offer the spine radiograph."""
    _register(SPINE)


def registerFootSamples() -> None:
    """Offer the two views of the foot, and its volume."""
    for sample in (FOOT_AP, FOOT_LATERAL, FOOT_WBCT):
        _register(sample)


def _register(sample: Sample) -> None:
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=sample.name,
        thumbnailFileName=str(resources_dir() / "Icons" / f"{sample.name}.png"),
        uris=(resources_dir() / "SampleData" / sample.fileName).as_uri(),
        fileNames=sample.fileName,
        nodeNames=sample.name,
        checksums=f"SHA256:{sample.sha256}",
        loadFileType="VolumeFile",
    )
