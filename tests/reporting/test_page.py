"""The sections of the page."""

from dataclasses import replace

import pytest

from tests.helpers.pages import CLASSES, NASTY, inputs, result
from toolkit.errors import InputError
from toolkit.evaluation.comparison import compare_results
from toolkit.io import files
from toolkit.reporting import arms, page
from toolkit.reporting.page import PageInputs


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return inputs(tmp_path_factory.mktemp("project"))


@pytest.fixture
def bare():
    """Predictions of two tools, without scores, and nothing else."""
    runs = [
        replace(run, history=None, predictions=replace(run.predictions, scores=None))
        for run in (result(), result("augmented"))
    ]
    return PageInputs(compare_results(runs, resamples=200), runs)


def test_the_verdict_has_a_sentence_per_arm_and_charts(given):
    found = page.verdict_section(given.compared)
    assert len(found["headline"]) == 2
    assert found["differences"] and found["gmeans"]  # noqa: PT018
    assert len(found["recalls"]) == 2


def test_recalls_of_very_many_classes_are_a_table_alone(given):
    many = replace(given.compared, test_images={str(n): 1 for n in range(100)})
    assert page.verdict_section(many)["recalls"] == []


def test_the_data_section_shows_the_prepared_images(given):
    found = page.data_section(given)
    assert found["counts"][1] == ["train", "12", "4"]
    assert found["counts"][-1] == ["train, duplicated", "12 + 0 new", "4 + 6 new"]
    assert list(found["sheets"]) == ["augmented", "duplicated"]
    assert [strip.title for strip in found["samples"]] == list(CLASSES)


def test_a_probe_without_new_images_is_left_out(given):
    assert [row[0] for row in page.data_section(given)["probe"].table[1:]] == ["augmented"]


def test_new_images_are_counted_by_transform(given):
    found = page.data_section(given)
    assert list(found["most_changed"]) == ["augmented", "duplicated"]
    assert [row[:2] for row in found["new"][1:3]] == [["augmented", "all"], ["augmented", NASTY]]
    assert found["new"][2][2:] == ["6", "1 (17%)", "2 (33%)", "12.3"]


PART = '{"new": 3, "identical": 0, "near_copies": 9, "change": 0, "transforms": {}}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"new": 3}', PART, PART.replace("9", '"x"')])
def test_a_damaged_summary_is_refused_by_name(given, tmp_path, text):
    files.write_file(tmp_path / "augmented-summary.json", text)
    with pytest.raises(InputError, match=r"summary\.json: not a summary of new images.*augment"):
        arms.read_summaries(tmp_path, ["augmented"])


def test_an_arm_without_new_images_has_no_row(tmp_path):
    text = PART.replace("3", "0").replace("9", "0")
    files.write_file(tmp_path / "augmented-summary.json", text)
    assert arms.read_summaries(tmp_path, ["augmented", "other"]) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"auc": "x", "low": 0, "high": 1}'])
def test_a_damaged_probe_is_refused_by_name(given, tmp_path, text):
    files.write_file(tmp_path / "augmented.json", text)
    with pytest.raises(InputError, match=r"augmented\.json: not the result of a probe.*toolkit"):
        page.data_section(replace(given, probes=tmp_path))


def test_each_recipe_has_three_curves_and_four_diagrams(given):
    assert [len(shown) for shown in page.training_section(given).values()] == [3, 3]
    found = page.network_section(given)
    assert [len(shown) for shown in found["diagrams"].values()] == [4, 4]
    assert [len(shown) for shown in found["matrices"].values()] == [3, 3]


def test_every_drawing_has_a_unique_name(given):
    charts = [c for shown in page.training_section(given).values() for c in shown]
    charts += [c for shown in page.network_section(given)["diagrams"].values() for c in shown]
    bodies = [
        chart.drawing.body.partition('clipPath id="')[2].partition('"')[0] for chart in charts
    ]
    assert len(set(bodies)) == len(bodies) == 14


def test_errors_have_mistakes_hard_images_and_changes(given):
    found = page.error_section(given)
    assert list(found) == list(given.compared.recipes)
    titles = [title for title, _, _ in found["net"]["kinds"]]
    assert titles == [title for title, _ in page.MISTAKE_KINDS.values()]
    assert len(found["net"]["changed"]) == 4


def test_provenance_names_the_data_by_their_hashes(given):
    found = page.provenance_section(given)
    train = files.sha256(given.prepared / "train" / "manifest.csv")
    assert found["hashes"][1] == ["prepared/train", train]
    assert ["arms/augmented"] in [row[:1] for row in found["hashes"]]
    assert found["versions"][1][0] == "Python"


def test_predictions_alone_are_enough(bare):
    assert page.training_section(bare) == {}
    assert page.error_section(bare) == {}
    assert page.provenance_section(bare)["hashes"] == []
    assert page.network_section(bare)["diagrams"] == {"net": []}
    assert page.data_section(bare)["samples"] == []


def test_more_classes_than_can_be_read_have_no_matrix(bare):
    many = replace(bare.compared, test_images={str(n): 1 for n in range(13)})
    assert page.network_section(replace(bare, compared=many))["matrices"] == {"net": []}
