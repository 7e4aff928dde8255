"""`toolkit predict`, and `toolkit.predict`."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from toolkit.datasets import archives, folders
from toolkit.datasets.hubs import PICTURES
from toolkit.datasets.local import open_images
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError, explain_error
from toolkit.io import files, inside, manifest
from toolkit.io.images import NamedImage
from toolkit.io.schema import build
from toolkit.io.system.below import LINK
from toolkit.io.text import describe_rejected, shorten
from toolkit.metrics.calibration import fit_temperature
from toolkit.metrics.decisions import Decisions, apply_decisions, at_calibrated, choose_decisions
from toolkit.metrics.params import EvaluateParams, GmeanRule, ThresholdRule
from toolkit.metrics.predictions import Predictions, predictions_csv
from toolkit.metrics.thresholds import parse_rule
from toolkit.progress import Track, silent
from toolkit.reporting.predictions import Photo, prediction_page
from toolkit.training import inference, runs
from toolkit.training.runs import Run

SORTED = "predictions.csv"
"""In the folder of sorted images: what was predicted, as in the CSV file."""
MAX_NAME = 255
"""Bytes of a file's name."""
GLOB = re.compile(r"[*?\[]")


def predict(
    run: Run | Path | str,
    images: Path | str | Sequence[Path | str],
    *,
    output: Path | str | None = None,
    positive: str | None = None,
    threshold: str | float | ThresholdRule = "gmean",
    raw: bool = False,
    sort_into: Path | str | None = None,
    html: Path | str | None = None,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Predictions:
    """Predict the class of images of any size, with a calibrated probability per class.

    `run` is what `train` returned, or its folder. `images` are image files, folders, archives and
    patterns such as "photos/*.jpg" in any number. One folder is read as the keys of the section
    `fetch` in `reading` say: where it has classes, the predictions can be evaluated; else `actual`
    is empty. The ids are the paths, or those of the folder's manifest. `problems` names the files
    that cannot be read.

    The temperature and, with two classes, the threshold are the run's, chosen on its validation
    images: the latter for the class `positive`, by default the one with fewer original training
    images; `threshold` is a rule ("gmean", "cost:RATIO", "recall:MINIMUM") or a probability. `raw`
    takes neither: the network's own scores, of which the highest decides. `output` is a CSV file
    to write, with the problems in a column `error`, `sort_into` a new folder with a copy of each
    image in a folder of its class, `html` a page that shows the least certain images first. Raises
    InputError if a class folder is none of the run's classes, if no file can be read, and for an
    output that is named like an image.
    """
    files.check_output(output, file=True, unlike=PICTURES)
    files.check_output(html, "--html", file=True, unlike=PICTURES)
    files.check_replaceable(sort_into, "", "--sort-into")
    settings = build(ReadParams, reading, "reading")
    named = [images] if isinstance(images, str | Path) else images
    places, unopened = _opened(expand_patterns(named), settings, track, say)
    about = run if isinstance(run, Run) else runs.read_run(Path(run))
    decisions = Decisions() if raw else read_decisions(about, positive, threshold)
    table = _read_table(places, about, settings)
    photos = table.photos if table else _list_photos(places, say)
    guesses = inference.predict_files(about.located(), list(photos.values()), track)
    answers = dict(zip(photos, guesses, strict=True))
    problems = unopened | {
        # A manifest's ids are no paths.
        name: f"{guess.problem} ({photos[name].path})" if table else guess.problem
        for name, guess in answers.items()
        if guess.problem
    }
    read = {name: guess for name, guess in answers.items() if not guess.problem}
    if not read:
        rejected = [{"path": name, "reason": why} for name, why in problems.items()]
        reasons = describe_rejected(rejected, len(rejected)) if rejected else "no image was given"
        raise InputError(f"nothing to predict: {reasons}")
    if table:
        actual = tuple(table.labels[name] for name in read)
    elif len(named) == len(places) == 1 and places[0].is_dir():
        paths = [guess.path for guess in read.values()]
        actual = folder_labels(places[0], paths, about.classes, settings, say)
    else:
        actual = ()
    predictions = Predictions(
        classes=about.classes,
        ids=tuple(read),
        actual=actual,
        predicted=tuple(guess.predicted for guess in read.values()),
        scores=np.array([guess.scores for guess in read.values()]),
        problems=problems,
    )
    if not raw:
        predictions = apply_decisions(predictions, decisions)
        say(describe_decisions(decisions, threshold))
    if output:
        files.write_file(Path(output), predictions_csv(predictions, errors=True))
    shown = [Photo(str(photos[name].path), photos[name].content) for name in read]
    if sort_into:
        _sort(Path(sort_into), predictions, shown)
    if html:
        page = prediction_page(predictions, decisions, shown, about.located().name)
        files.write_file(Path(html), page)
    return predictions


def read_decisions(
    run: Run, positive: str | None = None, threshold: str | float | ThresholdRule = "gmean"
) -> Decisions:
    """Return the temperature and threshold for a run, as `predict` takes them.

    Raises InputError for a threshold that is neither a rule nor a probability, a class that is not
    one of two, and for one where there is no single class with fewer images.
    """
    valid, positive = runs.read_valid(run), positive or run.rarest
    if len(run.classes) != 2 or positive is None:
        if threshold in ("gmean", GmeanRule(rule="gmean")):  # no other one was asked for
            return Decisions(fit_temperature(valid))
        kind = "two classes" if len(run.classes) != 2 else "a positive class: name it by --positive"
        raise InputError(f"a threshold needs {kind}; the run has {', '.join(run.classes)}")
    number = given_probability(threshold)
    rule = parse_rule(threshold) if isinstance(threshold, str) and number is None else threshold
    settings = {"threshold": rule} if number is None else {}
    decisions = choose_decisions(valid, EvaluateParams(positive=positive, **settings))
    return decisions if number is None else at_calibrated(decisions, number)


def given_probability(threshold: str | float | ThresholdRule) -> float | None:
    """Return a threshold that is a number; None for a rule. Raises InputError beyond 0..1."""
    try:
        number = float(threshold)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not 0 <= number <= 1:
        raise InputError(f"--threshold must be a probability from 0 to 1, got {threshold}")
    return number


def describe_decisions(
    decisions: Decisions, threshold: str | float | ThresholdRule = "gmean"
) -> str:
    """Return in a sentence how scores become classes."""
    temperature = f"temperature {decisions.temperature:.3g}"
    if decisions.positive is None:
        return f"the likeliest class is predicted ({temperature}, fitted on valid)"
    chosen = "as given" if given_probability(threshold) is not None else "chosen on valid"
    least = f"{decisions.calibrated_threshold:.3g} or more"
    name = shorten(decisions.positive, 40)
    return f"{name} is predicted from a probability of {least} ({chosen}; {temperature})"


# --- what is written --------------------------------------------------------------------------


def _sort(place: Path, predictions: Predictions, photos: Sequence[Photo]) -> None:
    """Copy each file to a folder of its class. What is there stays: a person may have sorted it."""
    with files.new_folder(place, marker="") as building:
        for label in predictions.classes:
            inside.make_folder(building, label)
        pairs = zip(predictions.predicted, (Path(photo.name).name for photo in photos), strict=True)
        for path, photo in zip(unique_paths(pairs), photos, strict=True):
            inside.write_inside(building, path, photo.content(), replace=False)
        files.write_file(building / SORTED, predictions_csv(predictions, errors=True))


def unique_paths(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield <folder>/<name> for each pair; a name that is taken there gets a number."""
    taken, numbers = set[str](), Counter[str]()
    for folder, name in pairs:
        path = wanted = f"{folder}/{name}"
        while path in taken:
            numbers[wanted] += 1
            end = f"-{numbers[wanted] + 1}{Path(name).suffix}"
            stem = Path(name).stem.encode()[: MAX_NAME - len(end.encode())]
            path = f"{folder}/{stem.decode(errors='ignore')}{end}"
        taken.add(path)
        yield path


def opened_place(
    place: Path | str, settings: ReadParams, track: Track, say: Callable[[str], object]
) -> Path:
    """Return an image file as it is, and whatever else as a folder."""
    if Path(place).is_file() and not archives.is_archive(Path(place)):
        return Path(place)
    return open_images(place, track=track, say=say, links=settings.follow_links).folder


# --- what is read -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """The photos of a folder's manifest and their classes, by id."""

    photos: dict[str, NamedImage]
    labels: dict[str, str]


def expand_patterns(places: Sequence[Path | str]) -> dict[Path | str, Path | None]:
    """Return each place, of a pattern the files that fit, or if there are none the folders.

    With what a pattern found comes the folder that it was looked for in. Hidden ones fit no
    pattern. Raises InputError for a pattern that nothing fits.
    """
    return {path: base for place in places for path, base in _fitting(place)}


def _fitting(place: Path | str) -> list[tuple[Path | str, Path | None]]:
    path = Path(place)
    if not GLOB.search(str(place)) or "://" in str(place) or path.exists():
        return [(place, None)]
    first = next(at for at, part in enumerate(path.parts) if GLOB.search(part))
    base, pattern = Path(*path.parts[:first]), str(Path(*path.parts[first:]))
    try:
        fitting = [each for each in base.glob(pattern) if not _is_hidden(each, base)]
    except ValueError as error:
        raise InputError(f"{place}: not a pattern of files ({error})") from None
    files_only = [each for each in fitting if not each.is_dir()]
    if not fitting:
        raise InputError(f"{place}: no file fits this pattern; expected such as 'photos/*.jpg'")
    return [(each, base) for each in sorted(files_only or fitting)]


def _is_linked(path: Path, base: Path) -> bool:
    """Return whether a path passes a symbolic link below `base`."""
    below = (each for each in (path, *path.parents) if each != base and each.is_relative_to(base))
    return any(each.is_symlink() for each in below)


def _is_hidden(path: Path, base: Path) -> bool:
    return folders.is_hidden(PurePosixPath(path.relative_to(base)))


def _opened(
    places: Mapping[Path | str, Path | None],
    settings: ReadParams,
    track: Track,
    say: Callable[[str], object],
) -> tuple[list[Path], dict[str, str]]:
    """Return image files as they are, all else as folders; and why one of several cannot be.

    A link that a pattern found is not followed: the folder may be a stranger's.
    """
    opened, problems = list[Path](), dict[str, str]()
    for place, base in places.items():
        if base is not None and _is_linked(Path(place), base):
            problems[str(place)] = f"{LINK}; name it without a pattern"
            continue
        try:
            opened.append(opened_place(place, settings, track, say))
        except (InputError, OSError) as error:
            if len(places) == 1:
                raise
            problems[str(place)] = explain_error(error)
    return opened, problems


def _read_table(places: Sequence[Path], run: Run, settings: ReadParams) -> _Table | None:
    """Return what the manifest of one folder lists; nothing for other places.

    Raises InputError for a class that the run does not know.
    """
    if len(places) != 1 or not (places[0] / manifest.TABLE).is_file():
        return None
    folder = places[0]
    folders.check_by_name(folder, settings)
    table = manifest.read_manifest(folder)
    inference.check_known_classes(run, folder, table.classes)
    photos = {
        sample.id: NamedImage(folder / sample.path, folder, manifest.content_hash(sample))
        for sample in table.samples
    }
    return _Table(photos, {sample.id: sample.label for sample in table.samples})


def _list_photos(places: Sequence[Path], say: Callable[[str], object]) -> dict[str, NamedImage]:
    """Return the files of all places by their paths, each once."""
    return {str(photo.path): photo for place in places for photo in image_files(place, say)}


def folder_labels(
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
    found = {str(place.path): place.label for place in reading.places}
    labels = tuple(found.get(path.relative_to(folder).as_posix(), "") for path in paths)
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
