"""`toolkit fetch`, and `toolkit.fetch`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import RootModel

from toolkit.datasets.params import FetchParams
from toolkit.datasets.sources import fetch_source
from toolkit.io import files
from toolkit.io.manifest import SIDECAR, Manifest
from toolkit.io.schema import Section, build
from toolkit.progress import Track, silent

FACES = {"source": "synthetic", "counts": {"with_mask": 500, "without_mask": 60}}
"""Faces that the package draws: nothing to download."""


class _Source(RootModel[FetchParams]):
    """Any of the sources."""


def fetch(
    output: Path | str,
    *,
    source: Section | Mapping[str, Any] = FACES,
    work: Path | str = Path(".toolkit"),
    track: Track = silent,
) -> Manifest:
    """Get images as they are, into the new folder `output`, with a manifest.

    `source` holds the keys of the section `fetch` of params.yaml, such as
    `{"source": "archive", "location": "photos.zip", "sha256": "..."}`. Downloads are kept in
    `work`, and an interrupted one goes on. Raises InputError for a source that cannot be
    read or differs from its sha256, and for an output that is not ours.
    """
    files.check_replaceable(output, SIDECAR)
    settings: Any = source if isinstance(source, Section) else build(_Source, source, "source").root
    return fetch_source(settings, Path(output), Path(work), track)
