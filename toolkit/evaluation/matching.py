"""Tables of several tools on one test set: ids and labels compared by what they share."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from toolkit.evaluation.results import RunResult
from toolkit.metrics.columns import label_key
from toolkit.metrics.predictions import Predictions

DEPTH = 32  # last parts of a path that are compared, at most

Parts = tuple[str, ...]


def match_results(results: Sequence[RunResult]) -> tuple[list[RunResult], list[str]]:
    """Return the results with ids and labels spelled as in the first, and what was done.

    Ids that are paths, of any system, are compared by as many last parts as all have in common, if
    need be without their extensions. What does not match stays as it is.
    """
    matched, said = [*results[:1]], []
    for result in results[1:]:
        predictions, how = _match(result.predictions, results[0].predictions)
        matched.append(replace(result, predictions=predictions) if how else result)
        said += [f"{result.key} and {results[0].key}: {clause}" for clause in how]
    return matched, said


def _match(predictions: Predictions, first: Predictions) -> tuple[Predictions, list[str]]:
    how = []
    if {*predictions.ids} != {*first.ids}:
        ids, by = _match_ids(predictions.ids, first.ids)
        if by:
            predictions, how = replace(predictions, ids=ids), [f"ids are compared by {by}"]
    if predictions.classes != first.classes:
        relabeled = _match_labels(predictions, first.classes)
        if relabeled:
            predictions, how = relabeled, [*how, "labels differ in spelling only"]
    return predictions, how


def _match_ids(ids: Sequence[str], first: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the ids as they are in `first` and by what they are the same; "" if they are not."""
    ours, theirs = ([_parts(text) for text in side] for side in (first, ids))
    for by, key in _keys(max(map(len, (*ours, *theirs)))):
        names = {key(parts): text for parts, text in zip(ours, first, strict=True)}
        found = [key(parts) for parts in theirs]
        distinct = len(names) == len(ours) and len({*found}) == len(found)
        if distinct and (names.keys() <= {*found} or names.keys() >= {*found}):
            pairs = zip(found, ids, strict=True)
            return tuple(names.get(parts, text) for parts, text in pairs), by
    return tuple(ids), ""


def _parts(text: str) -> Parts:
    return tuple(part for part in re.split(r"[\\/]+", text.strip()) if part not in ("", "."))


def _keys(depth: int) -> Iterator[tuple[str, Callable[[Parts], Parts]]]:
    """Yield what to compare, the most that may be common first, and its name."""
    for stem in (False, True):
        for count in range(min(depth, DEPTH), 0, -1):
            what = f"their last {count} parts" if count > 1 else "file name"
            yield what + " without extension" * stem, _key(count, stem)


def _key(count: int, stem: bool) -> Callable[[Parts], Parts]:
    def last(parts: Parts) -> Parts:
        kept = parts[-count:]
        return (*kept[:-1], PurePosixPath(kept[-1]).stem) if stem and kept else kept

    return last


def _match_labels(predictions: Predictions, classes: Sequence[str]) -> Predictions | None:
    """Return the predictions with labels spelled as `classes` are; None if they are others."""
    names = {label_key(name): name for name in classes}
    keys = {label_key(name) for name in predictions.classes}
    if keys != names.keys() or not len(keys) == len(classes) == len(predictions.classes):
        return None
    spelled = {name: names[label_key(name)] for name in predictions.classes}
    scores, order = predictions.scores, [*spelled.values()]
    return replace(
        predictions,
        classes=tuple(classes),
        actual=tuple(spelled[label] for label in predictions.actual),
        predicted=tuple(spelled[label] for label in predictions.predicted),
        scores=None if scores is None else scores[:, [order.index(name) for name in classes]],
    )
