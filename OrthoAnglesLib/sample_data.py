"""The sample that ships with the extension, offered by Slicer's Sample Data module. Nothing is downloaded."""

from orthoangles.paths import resources_dir

CATEGORY = "OrthoAngles"
SPINE_SAMPLE = "SpineAP"
SPINE_FILE = "spine-ap-sample.png"
SPINE_SHA256 = "72adb26d271719f75407425d476291abbc74a0ce444c53125e3dce5b9bd0f901"


def registerSpineSample() -> None:
    """Offer the spine radiograph, rendered by the extension's own simulation."""
    import SampleData

    image = resources_dir() / "SampleData" / SPINE_FILE
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SPINE_SAMPLE,
        thumbnailFileName=str(resources_dir() / "Icons" / "SpineAP.png"),
        uris=image.as_uri(),
        fileNames=SPINE_FILE,
        nodeNames=SPINE_SAMPLE,
        checksums=f"SHA256:{SPINE_SHA256}",
        loadFileType="VolumeFile",
    )
