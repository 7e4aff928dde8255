"""Images that the runs of one arm classify correctly and those of another do not."""

from dataclasses import replace

from tests.helpers.pages import CLASSES, result
from toolkit.evaluation.changes import changed_images, correct_counts
from toolkit.metrics.predictions import Predictions


def predicted(*right):
    """Three images of the common and two of the rare class; which are right."""
    actual = (CLASSES[0],) * 3 + (CLASSES[1],) * 2
    other = {CLASSES[0]: CLASSES[1], CLASSES[1]: CLASSES[0]}
    said = tuple(a if r else other[a] for a, r in zip(actual, right, strict=True))
    return replace(result(), predictions=Predictions(CLASSES, tuple("abcde"), actual, said))


def test_images_that_most_runs_change_come_with_rare_classes_first():
    before = [predicted(0, 0, 1, 0, 1), predicted(0, 0, 1, 1, 1), predicted(0, 1, 1, 0, 1)]
    after = [predicted(1, 0, 1, 1, 0), predicted(1, 1, 1, 1, 0), predicted(0, 1, 1, 0, 0)]
    test = {CLASSES[0]: 3, CLASSES[1]: 2}
    assert changed_images(before, after, test) == ["d", "a", "b"]
    assert changed_images(after, before, test) == ["e"]


def test_half_of_the_runs_are_not_most_of_them():
    before, after = [predicted(0, 1, 1, 1, 1)] * 2, [predicted(1, 1, 1, 1, 1)]
    assert changed_images([before[0], after[0]], after, {CLASSES[0]: 3, CLASSES[1]: 2}) == []


def test_correct_counts_are_per_image():
    runs = [predicted(0, 0, 1, 0, 1), predicted(0, 1, 1, 0, 0)]
    assert correct_counts(runs) == {"b": 1, "c": 2, "e": 1}
