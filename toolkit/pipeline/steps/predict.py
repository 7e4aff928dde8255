"""`toolkit predict`, and `toolkit.predict`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.metrics.predictions import Predictions, write_predictions
from toolkit.progress import Track, silent
from toolkit.training import inference, runs
from toolkit.training.runs import Run


def predict(
    run: Run | Path | str,
    images: Path | str | Sequence[Path | str],
    *,
    output: Path | str | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Predictions:
    """Predict the class of images of any size, with a probability per class.

    `run` is what `train` gave, or its folder. `images` is a folder laid out <class>/file, whose
    predictions can be evaluated, or image files, whose `actual` is empty and whose ids are their
    paths; a file that cannot be read is told in `problems`. `output` is a CSV file to write. Raises
    InputError for a folder with a class that the run does not know, and where no file can be read.
    """
    folder = run.folder if isinstance(run, Run) else Path(run)
    if folder is None:
        raise InputError("the run lies in no folder: read it with the folder that `train` wrote")
    if isinstance(images, str | Path) and _is_labeled(Path(images)):
        predictions = inference.predict_folder(folder, Path(images), track, say)
    else:
        several = [images] if isinstance(images, str | Path) else images
        predictions = _of_files(folder, [Path(place) for place in several], track, say)
    if output:
        write_predictions(Path(output), predictions)
    return predictions


def _is_labeled(place: Path) -> bool:
    """Whether there is a manifest, or class folders."""
    return place.is_dir() and (
        (place / manifest.TABLE).is_file() or any(inside.is_dir() for inside in place.iterdir())
    )


def _of_files(
    run: Path, places: Sequence[Path], track: Track, say: Callable[[str], object]
) -> Predictions:
    paths = [path for place in places for path in image_files(place, say)]
    guesses = inference.predict_files(run, paths, track)
    read = [guess for guess in guesses if not guess.problem]
    if not read:
        problem = guesses[0].problem if guesses else "no image was given"
        raise InputError(f"none of {len(guesses)} files could be read: {problem}")
    return Predictions(
        classes=runs.read_run(run).classes,
        ids=tuple(str(guess.path) for guess in read),
        actual=(),
        predicted=tuple(guess.predicted for guess in read),
        scores=np.array([guess.scores for guess in read]),
        problems={str(guess.path): guess.problem for guess in guesses if guess.problem},
    )


def image_files(place: Path, say: Callable[[str], object]) -> list[Path]:
    """Return the file, or all in the folder but for hidden ones and links, which are told."""
    if not place.is_dir():
        return [place]
    inside = [place / path for path in folders.list_tree(place)[0]]
    if links := [path for path in inside if path.is_symlink()]:
        say(f"{links[0]}: {len(links)} symbolic links, such as this, are not followed")
    return [path for path in inside if not path.is_symlink()]
