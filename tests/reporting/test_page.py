"""The sections of the page."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.pages import CLASSES, NASTY, arm, inputs, result, split
from tests.helpers.parsed import Parsed
from toolkit.checks.findings import Audit
from toolkit.errors import InputError
from toolkit.evaluation import advice, leaderboard
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.verdict import verdict_title
from toolkit.io import files, manifest
from toolkit.io.manifest import SPLITS, Manifest, Sample
from toolkit.reporting import arms, page
from toolkit.reporting.advice import places_to_look
from toolkit.reporting.comparison import comparison_page
from toolkit.reporting.page import PageInputs


@pytest.fixture(scope="module")
def page_inputs(tmp_path_factory):
    return inputs(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def html(page_inputs):
    return comparison_page(page_inputs)


@pytest.fixture
def bare():
    """Predictions of two tools, without scores, and nothing else."""
    runs = [
        replace(run, history=None, predictions=replace(run.predictions, scores=None))
        for run in (result(), result("augmented"))
    ]
    return PageInputs(compare_results(runs, resamples=200), runs)


def test_the_verdict_has_a_sentence_per_arm_and_charts(page_inputs):
    section = page.verdict_section(page_inputs.compared)
    assert len(section["headline"]) == 3  # the primary contrast, and two pairs of arms
    assert section["differences"] and section["gmeans"]  # noqa: PT018
    assert len(section["recalls"]) == 2


def test_the_first_screen_says_which_remedy_to_take_and_the_declared_verdict(page_inputs, bare):
    compared = page_inputs.compared
    first, taken = page.first_screen(compared), advice.taken_standing(compared)
    assert (first["headline"], first["lead"]) == (
        advice.remedy_headline(compared), advice.remedy_sentences(compared)[1],
    )  # fmt: skip
    assert (first["taken"], first["before"].title) == (taken, leaderboard.NOTHING)
    assert len(first["dots"]["marks"]) == taken.rare
    primary = next(contrast for contrast in compared.contrasts if contrast.primary)
    assert first["declared"][0] == verdict_title(primary)
    assert 'class="hero"' in comparison_page(bare)
    alone = [run for run in bare.results if run.arm == "original"]
    assert page.first_screen(compare_results(alone, resamples=200)) is None


def test_the_answer_the_remedies_and_the_photos_come_before_the_charts(html):
    order = ['class="hero"', 'class="remedies"', 'class="strip photos"', 'class="verdict"',
             'class="plot"']  # fmt: skip
    places = [html.index(mark) for mark in order]
    assert places == sorted(places)


def test_a_remedy_has_its_interval_chance_size_and_verdict(page_inputs):
    compared = page_inputs.compared
    sized = replace(compared, leaderboard=tuple(
        replace(of, network_mb=1.25) for of in compared.leaderboard
    ))  # fmt: skip
    rows = page.remedy_rows(sized)
    assert {row["title"] for row in rows} == {
        leaderboard.NOTHING, leaderboard.THRESHOLD, leaderboard.COPIES, "augmented",
    }  # fmt: skip
    (row,) = (row for row in rows if (row["title"], row["recipe"]) == ("augmented", "net"))
    assert row["more"] == {"best": row["more"]["best"], "MB": "1.25"}
    assert row["rail"]["low"] <= row["rail"]["gmean"] <= row["rail"]["high"]
    contrast = next(of for of in compared.contrasts if of.primary)
    assert (row["verdict"], row["tags"][-1]) == (contrast.verdict, "declared")
    assert [row["chosen"] for row in rows].count(True) == 1
    assert {row["verdict"] for row in rows if row["title"] == leaderboard.NOTHING} == {"baseline"}
    assert [*page.remedy_rows(compared)[0]["more"]] == ["best"]


def test_photos_that_are_wrong_have_the_names_that_they_came_with(page_inputs, tmp_path):
    errors = advice.taken_errors(page_inputs.compared, page_inputs.results)
    missed, alarmed = page.photo_strips(page_inputs, errors)
    assert (missed.title, alarmed.title) == ("Missed", "False alarms")
    assert len(missed.pictures) == missed.total == len(errors.missed)
    assert alarmed.pictures[0].lines[1] == f"score {errors.alarmed[0].score:.2f}"
    assert re.fullmatch(r"\d{3}\.png", alarmed.pictures[0].lines[0])
    raw = tuple(Sample(f"{n:03d}", f"0/{NASTY}{n}", CLASSES[0]) for n in range(20))
    manifest.write_manifest(tmp_path, Manifest(CLASSES, raw))
    _, named = page.photo_strips(replace(page_inputs, raw=tmp_path), errors)
    assert named.pictures[0].lines[0].startswith(NASTY)
    assert page.photo_strips(replace(page_inputs, prepared=None), errors) == []


def test_where_to_look_is_said_beside_the_answer(page_inputs, html):
    errors = advice.taken_errors(page_inputs.compared, page_inputs.results)
    looks = places_to_look(errors, CLASSES[1], page_inputs.audit)
    assert [place for _, place in looks] == ["photos", "photos", "data"]
    assert "are missed: look at them first." in looks[0][0]
    assert "1 file property predicts the class" in looks[2][0]
    assert (
        html.index("Where to look")
        < html.index("look at them first.")
        < html.index('id="remedies"')
    )


def test_what_would_help_is_said_once(bare):
    runs = [replace(run, learning=((5, 0.5), (10, 0.6))) for run in bare.results]
    compared = compare_results(runs, resamples=200)
    text = Parsed(comparison_page(PageInputs(compared, runs))).text
    steps = advice.remedy_steps(compared)
    assert steps
    assert [text.count(step[-20:]) for step in steps] == [1] * len(steps)
    assert text.count("20 images of") == 1


def test_runs_made_in_different_ways_are_said_to_be(bare):
    runs = [
        replace(run, conditions={"device": device})
        for run, device in zip(bare.results, ("cpu", "cuda"), strict=True)
    ]
    shown = PageInputs(compare_results(runs, resamples=200), runs)
    assert "device: cpu (1, such as" in comparison_page(shown)
    assert "device: cpu" not in comparison_page(bare)


def test_recalls_of_very_many_classes_are_a_table_alone(page_inputs):
    many = replace(page_inputs.compared, test_images={str(n): 1 for n in range(100)})
    assert page.verdict_section(many)["recalls"] == []


def test_the_data_section_shows_the_prepared_images(page_inputs):
    section = page.data_section(page_inputs)
    assert section["counts"][1] == ["train", "12", "4"]
    assert section["counts"][-1] == ["train, duplicated", "12 + 0 new", "4 + 6 new"]
    assert list(section["sheets"]) == ["augmented", "duplicated"]
    assert [strip.title for strip in section["samples"]] == list(CLASSES)


def test_what_lies_in_no_split_is_listed_with_its_reason(bare, tmp_path):
    for name in SPLITS:
        train = split(tmp_path / "prepared" / name, (2, 1), 0)
    for name in bare.compared.arms:
        arm(tmp_path / "arms" / name, train, 0)
    left_out = [{"path": f"{NASTY}{n}.png", "reason": "fetch.only"} for n in range(103)]
    notes = {"left_out": left_out, "cut": ["there is no test split: 10 become test"]}
    manifest.write_manifest(tmp_path / "prepared/train", replace(train, notes=notes))
    audit = Audit({}, (), read=f"2 classes, {NASTY}; left out by fetch.classes.leave_out: 9 (c)")
    shown = replace(bare, prepared=tmp_path / "prepared", arms=tmp_path / "arms", audit=audit)
    section = page.data_section(shown)
    assert section["left_out"][1] == [f"{NASTY}0.png", "fetch.only"]
    assert section["left_out"][-1][0] == "3 more"
    text = comparison_page(shown)
    assert "Left out of all splits: fetch.only (103)" in text
    assert "there is no test split: 10 become test" in text
    assert "left out by fetch.classes.leave_out: 9 (c)." in text
    assert NASTY not in text


def test_a_probe_without_new_images_is_left_out(page_inputs):
    assert [row[0] for row in page.data_section(page_inputs)["probe"].table[1:]] == ["augmented"]


def test_new_images_are_counted_by_transform(page_inputs):
    section = page.data_section(page_inputs)
    assert list(section["most_changed"]) == ["augmented", "duplicated"]
    assert [row[:2] for row in section["new"][1:3]] == [["augmented", "all"], ["augmented", NASTY]]
    assert section["new"][2][2:] == ["6", "1 (17%)", "2 (33%)", "12.3"]


PART = '{"new": 3, "identical": 0, "near_duplicates": 9, "change": 0, "transforms": {}}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"new": 3}', PART, PART.replace("9", '"x"')])
def test_a_damaged_summary_is_refused_by_name(page_inputs, tmp_path, text):
    files.write_file(tmp_path / "augmented-summary.json", text)
    with pytest.raises(InputError, match=r"summary\.json: not a summary of new images.*augment"):
        arms.read_summaries(tmp_path, ["augmented"])


def test_what_augment_and_probe_wrote_carries_its_hash(tmp_path):
    files.write_sealed(tmp_path / "x-summary.json", files.parse_json(PART.replace("9", "2")))
    files.write_sealed(tmp_path / "x.json", {"auc": 0.5, "low": 0.4, "high": 0.6})
    for read in (arms.read_summaries, arms.read_probes):
        assert read(tmp_path, ["x"])["x"]
    for path, read in (("x-summary.json", arms.read_summaries), ("x.json", arms.read_probes)):
        text = (tmp_path / path).read_text()
        files.write_file(tmp_path / path, text.replace(": 0", ": 1", 1))
        with pytest.raises(InputError, match=r"json: .*its sha256 differs; if the change is yours"):
            read(tmp_path, ["x"])


def test_an_arm_without_new_images_has_no_row(tmp_path):
    text = PART.replace("3", "0").replace("9", "0")
    files.write_file(tmp_path / "augmented-summary.json", text)
    assert arms.read_summaries(tmp_path, ["augmented", "other"]) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"auc": "x", "low": 0, "high": 1}'])
def test_a_damaged_probe_is_refused_by_name(page_inputs, tmp_path, text):
    files.write_file(tmp_path / "augmented.json", text)
    with pytest.raises(InputError, match=r"augmented\.json: not the result of a probe.*toolkit"):
        page.data_section(replace(page_inputs, probes=tmp_path))


def test_each_recipe_has_three_curves_and_four_diagrams(page_inputs):
    assert [len(of) for of in page.training_section(page_inputs).values()] == [3, 3]
    section = page.network_section(page_inputs)
    assert [len(of) for of in section["diagrams"].values()] == [4, 4]
    assert [len(of) for of in section["matrices"].values()] == [3, 3]


def test_what_was_tuned_in_folds_is_not_called_validated(bare, page_inputs):
    folds = np.arange(30) % 5
    divided = [replace(r, predictions=replace(r.predictions, folds=folds)) for r in bare.results]
    several = (page_inputs.results, divided, [*bare.results, *divided])
    assert [page._tuned_on(results) for results in several] == [
        "validation images", "the other folds", "validation images or the other folds",
    ]  # fmt: skip


def test_frozen_recipes_have_no_curves_by_epoch(page_inputs):
    frozen = [
        replace(run, history=dict(run.history) | {"learning_rate": (0.0,) * 4})
        if run.recipe == "net"
        else run
        for run in page_inputs.results
    ]
    assert [*page.training_section(replace(page_inputs, results=frozen))] == ["<b>deep"]


def test_every_drawing_has_a_unique_name(page_inputs):
    charts = [c for of in page.training_section(page_inputs).values() for c in of]
    charts += [c for of in page.network_section(page_inputs)["diagrams"].values() for c in of]
    bodies = [
        chart.drawing.body.partition('clipPath id="')[2].partition('"')[0] for chart in charts
    ]
    assert len(set(bodies)) == len(bodies) == 14


def test_errors_have_mistakes_hard_images_and_changes(page_inputs):
    section = page.error_section(page_inputs)
    assert list(section) == list(page_inputs.compared.recipes)
    titles = [title for title, _, _ in section["net"]["kinds"]]
    assert titles == [title for title, _ in page.MISTAKE_KINDS.values()]
    assert len(section["net"]["changed"]) == 4


def test_provenance_names_the_data_by_their_hashes(page_inputs):
    section = page.provenance_section(page_inputs)
    train = files.sha256(page_inputs.prepared / "train" / "manifest.csv")
    assert section["hashes"][1] == ["prepared/train", train]
    assert ["arms/augmented"] in [row[:1] for row in section["hashes"]]
    assert section["versions"][1][0] == "Python"


def test_predictions_alone_are_enough(bare):
    assert page.training_section(bare) == {}
    assert page.error_section(bare) == {}
    assert page.provenance_section(bare)["hashes"] == []
    assert page.network_section(bare)["diagrams"] == {"net": []}
    assert page.data_section(bare)["samples"] == []


def test_more_classes_than_can_be_read_have_no_matrix(bare):
    many = replace(bare.compared, test_images={str(n): 1 for n in range(13)})
    assert page.network_section(replace(bare, compared=many))["matrices"] == {"net": []}
