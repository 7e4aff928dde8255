"""Images that the runs of one arm classify correctly and those of another do not."""

from collections import Counter
from collections.abc import Mapping, Sequence

from toolkit.evaluation.results import RunResult


def changed_images(
    wrong: Sequence[RunResult], right: Sequence[RunResult], test: Mapping[str, int]
) -> list[str]:
    """Return the ids of images that most runs of `wrong` get wrong and most of `right` get right.

    Images of the rarest classes come first, then those on which the most runs differ. `test` is
    the number of test images per class.
    """
    predictions = right[0].predictions
    actual = dict(zip(predictions.ids, predictions.actual, strict=True))
    before, after = correct_counts(wrong), correct_counts(right)
    changed = [i for i in actual if 2 * before[i] < len(wrong) and 2 * after[i] > len(right)]
    return sorted(changed, key=lambda i: (test[actual[i]], before[i] - after[i]))


def correct_counts(runs: Sequence[RunResult]) -> Counter[str]:
    """Count for each image, by id, how many of the runs classify it correctly."""
    return Counter(
        ident
        for run in runs
        for ident, actual, predicted in zip(
            run.predictions.ids, run.predictions.actual, run.predictions.predicted, strict=True
        )
        if actual == predicted
    )
