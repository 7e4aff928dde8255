"""`toolkit probe`, and `toolkit.probe`."""

from collections.abc import Callable
from pathlib import Path

from toolkit.datasets.local import open_images
from toolkit.evaluation.probe import Probe, probe_arm, write_probe
from toolkit.io import files, parallel
from toolkit.progress import Track, silent


def probe(
    arm: Path | str,
    *,
    output: Path | str | None = None,
    workers: int = 0,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Probe:
    """Measure how well a classifier can tell new images from originals.

    `arm` is a folder that `augment` wrote, `output` a JSON file to write. An area under the ROC
    curve of 0.5 means that the new images look like originals. Processes: `workers`, 0 for one per
    core. Raises InputError for a folder without new images.
    """
    files.check_output(output, file=True)
    folder = open_images(arm, track=track, say=say).folder
    result = probe_arm(folder, workers=workers or parallel.cores(), track=track)
    if output:
        write_probe(Path(output), result)
    return result
