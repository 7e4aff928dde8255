"""The tables of the page."""

import pytest

from tests.helpers.pages import CLASSES, result
from toolkit.evaluation.comparison import compare_results
from toolkit.io.manifest import Manifest, Sample
from toolkit.metrics.confusion import matrix_of
from toolkit.reporting import tables

RUNS = [result(arm, seed=seed) for arm in ("original", "augmented") for seed in (0, 1)]


@pytest.fixture(scope="module")
def compared():
    return compare_results(RUNS, resamples=200)


def train(copies):
    """Three images of a, one of b, and copies of that one."""
    old = [Sample(f"o{n}", f"o{n}", "ab"[n == 3], "train") for n in range(4)]
    new = [
        Sample(f"n{n}", f"n{n}", "b", "train", "", "o3", "rotate", {"degrees": 1})
        for n in range(copies)
    ]
    return Manifest(("a", "b"), (*old, *new))


def test_arms_have_means_and_intervals(compared):
    header, first, _ = tables.arm_table(compared)
    assert header[:4] == ["recipe", "arm", "seeds", "G-mean at threshold"]
    row = compared.estimates[0]
    low, high = row.intervals["threshold_gmean"]
    assert first[3] == f"{row.mean('threshold_gmean'):.3f} ({low:.3f} to {high:.3f})"


def test_contrasts_say_all_that_the_verdict_rests_on(compared):
    header, row = tables.contrast_table(compared)
    of = compared.contrasts[0]
    cells = dict(zip(header, row, strict=True))
    assert (cells["verdict"], cells["role"]) == (of.verdict, "primary")
    assert cells["detectable"] == f"{of.detectable:.3f}"
    assert cells["verdict at .5"] == of.verdict_as_predicted


def test_metrics_that_were_not_compared_are_left_out(compared):
    header, _ = tables.difference_table(compared, ["accuracy", "unheard_of"])
    assert header == ["recipe", "arms", "accuracy"]


def test_each_pair_of_runs_has_its_own_row_image_by_image(compared):
    _, *body = tables.mcnemar_table(compared)
    assert [row[2] for row in body] == ["1", "2"]


def test_counts_are_of_splits_and_of_arms_that_have_new_images():
    arms = {"original": train(0), "augmented": train(5)}
    assert tables.count_table({"train": train(0)}, arms) == [
        ["images", "a", "b"], ["train", "3", "1"], ["train, augmented", "3 + 0 new", "1 + 5 new"],
    ]  # fmt: skip


def test_a_class_that_no_arm_changed_has_one_bar():
    bars = tables.class_bars(
        {"original": train(0), "augmented": train(5)}, ("original", "augmented")
    )
    assert [(bar.group, bar.label, bar.originals, bar.new) for bar in bars] == [
        ("a", "all arms", 3, 0), ("b", "original", 1, 0), ("b", "augmented", 1, 5),
    ]  # fmt: skip


def test_a_matrix_adds_the_runs_of_an_arm_up():
    matrix = tables.confusion_tables(RUNS)[0]
    total = sum(matrix_of(run.predictions) for run in RUNS[:2])
    assert [[cell.count for cell in row] for row in matrix.rows] == total.tolist()
    assert (matrix.arm, matrix.runs, matrix.classes) == ("original", 2, CLASSES)
    assert [cell.correct for row in matrix.rows for cell in row] == [True, False, False, True]


def test_a_cell_is_as_dark_as_its_share_of_the_row():
    cell = tables.confusion_tables(RUNS)[0].rows[1][1]
    assert cell.level == round(float(cell.fraction.rstrip("%")) / 10)


def test_tuning_is_shown_where_there_was_some():
    assert tables.tuning_table(RUNS) == []
    header, first, *_ = tables.tuning_table([result(valid=RUNS[0].predictions), *RUNS])
    assert header[3:6] == ["threshold", "G-mean as predicted", "G-mean at threshold"]
    assert first[3] == "0.400"
