"""``SampleData``: sources by category; a download is fetched into the cache and checked against its SHA-256."""

import hashlib
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import slicer


@dataclass(frozen=True)
class SampleDataSource:
    """One sample, as SampleData lists it."""

    sampleName: str
    uris: str
    fileNames: str
    nodeNames: str
    checksums: str
    thumbnailFileName: str
    loadFileType: str


class SampleDataLogic:
    """Registers and fetches samples."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom", *, sampleName, uris, fileNames, nodeNames, checksums, thumbnailFileName, loadFileType
    ) -> None:
        """Add a sample once; the real one takes more and defaults for most."""
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        source = SampleDataSource(sampleName, uris, fileNames, nodeNames, checksums, thumbnailFileName, loadFileType)
        listed = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in listed:
            listed.append(source)

    def sourceForSampleName(self, name: str) -> SampleDataSource | None:
        """The source of that name in any category."""
        listed = (source for sources in slicer.modules.sampleDataSources.values() for source in sources)
        return next((source for source in listed if source.sampleName == name), None)

    def downloadFileIntoCache(self, uri: str, name: str, checksum: str) -> str:
        """Fetch a file; ValueError where its digest is not the stated one."""
        path = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()) / name
        urllib.request.urlretrieve(uri, path)
        algorithm, _, digest = checksum.partition(":")
        if hashlib.new(algorithm, path.read_bytes()).hexdigest() != digest:
            path.unlink()
            raise ValueError(f"checksum of {name} differs")
        return str(path)
