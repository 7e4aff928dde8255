"""The files of a comparison, and its page as text; test_page.py opens it in a browser."""

import base64
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from tests.helpers.pages import CLASSES, NASTY, RECIPES, inputs, result
from tests.helpers.parsed import Parsed
from toolkit.checks.findings import Audit
from toolkit.evaluation import verdict
from toolkit.evaluation.comparison import compare_results
from toolkit.reporting import comparison
from toolkit.reporting.page import PageInputs


@pytest.fixture(scope="module")
def page_inputs(tmp_path_factory):
    return inputs(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def html(page_inputs):
    return comparison.comparison_page(page_inputs)


@pytest.fixture(scope="module")
def page(html):
    return Parsed(html)


def bare():
    run = replace(result(), history=None)
    return PageInputs(compare_results([run], resamples=200), [run])


# --- the page ---------------------------------------------------------------------------------


def test_the_page_has_six_sections(page, page_inputs):
    text = " ".join(page.text.split())
    headings = ("Verdict", "Data", "Training", "Networks", "Errors", "Provenance")
    places = [text.rindex(heading) for heading in headings]
    assert places == sorted(places)
    for words in (*RECIPES, "30 test images", "params.yaml", "sha256", "Grad-CAM", "+ 6 new"):
        assert words in text
    assert verdict.verdict_headline(page_inputs.compared)[0].split()[0] in text


def test_every_tag_is_closed(page):
    assert page.open == []


def test_everything_is_escaped(page, html):
    """All tags and attributes are the template's; the nasty names are text."""
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<img src=x" not in html
    assert "<b>deep" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert page.values("src") == [v for v in page.values("src") if v.startswith("data:image/jpeg")]


def test_names_are_text_in_tooltips_and_alternative_texts(page):
    assert any(NASTY in value for value in page.values("aria-label", "svg"))
    assert any(NASTY in value for value in page.values("alt", "img"))
    assert NASTY in page.text


def test_the_policy_allows_our_style_and_our_script_and_nothing_else(page, html):
    (policy,) = [v for v in page.values("content", "meta") if "default-src" in v]
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert policy.endswith("base-uri 'none'; form-action 'none'")
    assert "unsafe" not in policy
    assert page.values("style") == []


def test_the_page_requests_nothing(page, html):
    links = page.values("src") + page.values("href") + page.values("srcset")
    assert links
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    without = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", without)
    assert {"link", "iframe", "object", "embed", "form"}.isdisjoint(page.tags)


def test_ids_are_unique_and_every_reference_has_its_target(page, html):
    ids = Counter(page.values("id"))
    assert set(ids.values()) == {1}
    wanted = {v[1:] for v in page.values("href") if v.startswith("#")}
    wanted |= {*page.values("aria-labelledby"), *re.findall(r"url\(#([^)]+)\)", html)}
    assert wanted <= set(ids)


def test_every_image_and_chart_has_an_alternative_text(page):
    assert page.tags.count("img") == len(page.values("alt", "img"))
    assert all(page.values("alt", "img"))
    charts = page.values("aria-label", "svg")
    assert len(charts) == page.values("role", "svg").count("img") > 15
    assert all(re.search(r"\d\.\d{3}|\d originals|\d of \d+ found", words) for words in charts)


def test_every_chart_can_be_reached_by_keyboard_and_read_as_a_table(page, html):
    charts = re.findall(r'<figure class="chart">.*?</figure>', html, re.DOTALL)
    assert charts
    for chart in charts:
        assert '" tabindex="0">' in chart
        rows = re.search(r"<tbody>(.*?)</tbody>", chart, re.DOTALL)[1].count("<tr>")
        assert rows == chart.count("<rect x=") - chart.count("clipPath id") > 0


def test_the_page_is_the_same_each_time(page_inputs, html):
    assert comparison.comparison_page(page_inputs) == html


@pytest.mark.parametrize("audit", [None, Audit({}, ())])
def test_a_page_of_predictions_alone_says_so(audit):
    text = Parsed(comparison.comparison_page(replace(bare(), audit=audit))).text
    assert "nothing to compare" in text
    assert "Training" not in text
    assert "Errors" not in text
    assert ("The audit found no problems" if audit else "predictions only") in text


def test_long_class_names_are_truncated():
    names = tuple(f"class_{n:02d}_with_a_long_name" for n in range(10))
    run = replace(result(), positive=None)
    many = replace(run.predictions, classes=(*CLASSES, *names), scores=None)
    page = Parsed(
        comparison.comparison_page(
            PageInputs(compare_results([run]), [replace(run, predictions=many)])
        )
    )
    assert "class_00_with_a_l…" in page.text


# --- the files of `compare` -------------------------------------------------------------------


def test_a_comparison_writes_its_files(tmp_path, page_inputs):
    comparison.write_comparison(
        tmp_path / "summary.json", page_inputs.compared, page_inputs.results
    )
    assert json.loads((tmp_path / "summary.json").read_text()) == verdict.summarize_comparison(
        page_inputs.compared
    )
    intervals = json.loads((tmp_path / "intervals.json").read_text())
    assert [*intervals] == [*page_inputs.compared.recipes]
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 1 + 12 * 4
    for name in ("comparison.png", "curves.png"):
        assert Image.open(io.BytesIO((tmp_path / name).read_bytes())).format == "PNG"


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("roc", "false_positive_rate,recall"),
        ("precision_recall", "recall,precision"),
        ("reliability", "score,fraction"),
    ],
)
def test_dvc_plots_gets_the_same_curves(tmp_path, page_inputs, name, columns):
    comparison.write_comparison(
        tmp_path / "summary.json", page_inputs.compared, page_inputs.results
    )
    header, *body = (tmp_path / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    assert header == f"run,arm,recipe,seed,{columns}"
    assert len({line.partition(",")[0] for line in body}) == 12
