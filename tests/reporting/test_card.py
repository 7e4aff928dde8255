"""A model card says what is known and that the rest is not, whatever the names."""

import dataclasses
import io

import pytest
from ruamel.yaml import YAML

from toolkit.checks.findings import Audit, CheckOutcome, Finding
from toolkit.evaluation.evaluate import Evaluation
from toolkit.metrics.decisions import Decisions
from toolkit.reporting.card import CardFacts, CardResults, model_card

FACTS = CardFacts(
    name="new-resnet18-0",
    address="me/masks",
    network="resnet18",
    size=48,
    made="the arm new, recipe resnet18, seed 0",
    start="random weights",
    counts={"no": 60, "yes": 40},
    originals={"no": 60, "yes": 10},
    valid={"no": 30, "yes": 10},
    decisions=Decisions(1.2, "yes", 0.3),
    decided="yes is predicted from a probability of 0.33 or more",
    hashes={"the weights": "0" * 64},
    versions={"toolkit": "0.1.0", "extra": None},
)
RESULTS = CardResults(
    Evaluation({"gmean": 0.85, "accuracy": 0.9}, {"gmean": (0.7, 0.9)}, ("no", "yes")),
    Evaluation({"gmean": 0.75, "accuracy": 0.95}, {"gmean": (0.6, 0.8)}, ("no", "yes")),
    ((40, 5), (1, 4)),
    ((45, 0), (3, 2)),
    folds=False,
)
CHECKS = {"shortcuts": CheckOutcome("a property predicts the class", "warn", 0.2, 0.6, 1),
          "dark": CheckOutcome("dark images", "warn", 0.2, None, 0)}  # fmt: skip
AUDIT = Audit({"all": {"no": 95, "yes": 25}}, (Finding("shortcuts", "warn", "size", ()),), CHECKS)
KNOWN = dataclasses.replace(
    FACTS, license="mit", source="a folder", dataset="me/set", results=RESULTS, audit=AUDIT
)


def metadata(card):
    _, block, _ = card.split("---\n", 2)
    return YAML(typ="safe").load(io.StringIO(block))


def test_the_metadata_is_what_the_hub_reads():
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(model_card(KNOWN))
    assert (card.data.license, card.data.datasets) == ("mit", ["me/set"])
    assert card.data.pipeline_tag == "image-classification"
    assert {of.metric_type: of.metric_value for of in card.data.eval_results} == {
        "gmean": 0.85,
        "accuracy": 0.9,
    }
    assert {of.dataset_type for of in card.data.eval_results} == {"me/set"}


def test_it_says_what_the_threshold_costs_and_how_sure_the_results_are():
    card = model_card(KNOWN)
    assert "of 5 test images of yes 1 are missed, and 5 of 45 others are taken for it" in card
    assert "3 would be missed, with 0 false alarms" in card
    assert "| G-mean | 0.8500 (0.7000 to 0.9000) | 0.7500 (0.6000 to 0.8000) |" in card
    assert "| accuracy | 0.9000 | 0.9500 |" in card
    assert "| yes | 10 | 30 | 10 | 5 |" in card
    assert "(75% no, 25% yes)" in card
    assert "each is 0.200 of its recall" in card


def test_what_the_audit_found_is_a_limit_too():
    card = model_card(KNOWN)
    assert "2 checks of 120 images" in card
    assert "| shortcuts | 1 | warn | a property predicts the class |" in card
    assert "dark images" not in card
    assert "a property of the files predicts the class: the results may rest on it" in card


def test_what_is_not_known_is_said():
    card = model_card(dataclasses.replace(FACTS, problem="the loss was no number"))
    assert "nothing is known of how well it does" in card
    assert "were not audited" in card
    assert "- These weights: not stated" in card
    assert "- The images: not stated" in card
    assert "The training ended early: the loss was no number." in card
    assert {"license", "model-index", "datasets"} & set(metadata(card)) == set()


def test_names_stay_text():
    names = ("a|b", "<img src=x>")
    odd = dataclasses.replace(
        KNOWN,
        name="no",
        dataset=None,
        counts=dict.fromkeys(names, 3),
        originals=dict.fromkeys(names, 3),
        valid=dict.fromkeys(names, 3),
        decisions=Decisions(),
        decided="<b>",
        results=dataclasses.replace(
            RESULTS, decided=dataclasses.replace(RESULTS.decided, classes=names)
        ),
    )
    card = model_card(odd)
    assert metadata(card)["model-index"][0]["name"] == "no"
    assert "<img" not in card
    assert "<b>" not in card
    rows = [line for line in card.splitlines() if line.startswith("| a")]
    assert all("a\\|b" in row for row in rows if "a|b" in row.replace("\\", ""))
