"""The sample that ships with the extension, offered by Slicer's Sample Data module. Nothing is downloaded."""

from orthoangles.paths import resources_dir

CATEGORY = "OrthoAngles"
SPINE_SAMPLE = "SpineAP"
SPINE_FILE = "spine-ap-sample.png"
SPINE_SHA256 = "653661e14b561977a9d117310eacdda0099e0cf4554bc1f6ef760196b00d7521"


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
