"""`toolkit predict`, and `toolkit.predict`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.datasets import archives, folders
from toolkit.datasets.local import open_images
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import files, manifest
from toolkit.io.csv import csv_text
from toolkit.io.images import NamedImage
from toolkit.io.schema import build
from toolkit.io.text import describe_rejected
from toolkit.metrics.predictions import Predictions, write_predictions
from toolkit.progress import Track, silent
from toolkit.training import inference, runs
from toolkit.training.runs import Run


def predict(
    run: Run | Path | str,
    images: Path | str | Sequence[Path | str],
    *,
    output: Path | str | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Predictions:
    """Predict the class of images of any size, with a probability per class.

    `run` is what `train` returned, or its folder. `images` are image files, or a folder, read as
    the keys of the section `fetch` in `reading` say: where it has classes, the predictions can be
    evaluated; else `actual` is empty. The ids are the paths, or those of the folder's manifest.
    `problems` names the files that cannot be read. `output` is a CSV file to write. Raises
    InputError if a class folder is none of the run's classes, and if no file can be read.
    """
    files.check_output(output, file=True)
    folder = run.folder if isinstance(run, Run) else Path(run)
    if folder is None:
        raise InputError("the run lies in no folder: read it with the folder that `train` wrote")
    places = [images] if isinstance(images, str | Path) else images
    several = [_opened(place, track, say) for place in places]
    settings = build(ReadParams, reading, "reading")
    if len(several) == 1 and (several[0] / manifest.TABLE).is_file():
        predictions = inference.predict_folder(folder, several[0], track, say, settings)
    else:
        predictions = _of_files(folder, several, settings, track, say)
    if output:
        write_predictions(Path(output), predictions)
        _list_problems(left_out_path(Path(output)), predictions)
    return predictions


def _opened(place: Path | str, track: Track, say: Callable[[str], object]) -> Path:
    """Return an image file as it is, and whatever else as a folder."""
    if Path(place).is_file() and not archives.is_archive(Path(place)):
        return Path(place)
    return open_images(place, track=track, say=say).folder


def left_out_path(output: Path) -> Path:
    """Return where the files that could not be read are listed."""
    return output.with_name(f"{output.stem}-left-out.csv")


def _list_problems(path: Path, predictions: Predictions) -> None:
    """Write path and reason of each file that could not be read, if there are any."""
    if predictions.problems:
        files.write_file(path, csv_text(("path", "reason"), predictions.problems.items()))
    else:
        path.unlink(missing_ok=True)


def _of_files(
    folder: Path,
    places: Sequence[Path],
    settings: ReadParams,
    track: Track,
    say: Callable[[str], object],
) -> Predictions:
    photos = [photo for place in places for photo in image_files(place, say)]
    guesses = inference.predict_files(folder, photos, track)
    read = [guess for guess in guesses if not guess.problem]
    if not read:
        rejected = [{"path": str(guess.path), "reason": guess.problem} for guess in guesses]
        told = describe_rejected(rejected, len(rejected)) if rejected else "no image was given"
        raise InputError(f"nothing to predict: {told}")
    classes = runs.read_run(folder).classes
    paths = [guess.path for guess in read]
    one_folder = len(places) == 1 and places[0].is_dir()
    return Predictions(
        classes=classes,
        ids=tuple(str(guess.path) for guess in read),
        actual=_labels(places[0], paths, classes, settings, say) if one_folder else (),
        predicted=tuple(guess.predicted for guess in read),
        scores=np.array([guess.scores for guess in read]),
        problems={str(guess.path): guess.problem for guess in guesses if guess.problem},
    )


def _labels(
    folder: Path,
    paths: Sequence[Path],
    classes: Sequence[str],
    settings: ReadParams,
    say: Callable[[str], object],
) -> tuple[str, ...]:
    """Return the class of each image of a folder; nothing if they lie in no class folders.

    Folders deep in others may be anything: they are classes if one of them is the run's.
    """
    try:
        reading = folders.read_folder(folder, settings)
    except InputError as error:
        if settings != BY_NAME:
            raise
        say(f"the column actual stays empty: {error}")
        return ()
    found = {folder / place.path: place.label for place in reading.places}
    labels = tuple(found.get(path, "") for path in paths)
    unknown = sorted(set(labels) - set(classes))
    flat = all(path.parent.parent == folder for path in paths)
    if "" in unknown or (unknown and not flat and not set(labels) & set(classes)):
        return ()
    if unknown:
        message = f"{folder}: the class folders must be among {list(classes)}"
        raise InputError(f"{message}, got {', '.join(unknown)}; rename them, or name the files")
    say(f"{folder}: {reading.said}")
    return labels


def image_files(place: Path, say: Callable[[str], object]) -> list[NamedImage]:
    """Return the file, or the files of a folder without hidden ones and symbolic links."""
    if not place.is_dir():
        return [NamedImage(place)]
    paths = [place / path for path in folders.list_tree(place)[0]]
    if links := [path for path in paths if path.is_symlink()]:
        say(f"{links[0]}: {len(links)} symbolic links, such as this, are not followed")
    return [NamedImage(path, place) for path in paths if not path.is_symlink()]
