"""The files of the stages, the pictures and the page."""

import io
import json
import re
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from toolkit import plots, report
from toolkit.audit import Audit, Finding
from toolkit.canvas import arm_styles, short
from toolkit.comparison import compare, summary
from toolkit.errors import InputError
from toolkit.metrics import evaluate, matrix_of
from toolkit.predictions import Predictions
from toolkit.results import HISTORY, Key, Result, read_result

NASTY = "<img src=x onerror=alert(1)>"
CLASSES = (NASTY, "a$b_{$猫\n")
AUDIT = Audit(
    {"train": {"a": 5, NASTY: 2}, "": {"a": 3}},
    (Finding("unreadable", "drop", NASTY, (NASTY,) * 7),),
)


def history(epochs=4):
    numbers = tuple(1 / n for n in range(1, epochs + 1))
    return dict.fromkeys(HISTORY, numbers) | {"epoch": tuple(range(1, epochs + 1))}


def result(arm, seed=0, recipe="net", wrong=1, past=True):
    actual = (CLASSES[0],) * 8 + (CLASSES[1],) * 4
    said = (CLASSES[1],) * wrong + actual[wrong:]
    outcome = Predictions(CLASSES, tuple(map(str, range(12))), actual, said)
    metrics = evaluate(outcome, NASTY)
    return Result(arm, recipe, seed, metrics, outcome, NASTY, history() if past else None)


@pytest.fixture(scope="module")
def results():
    return [result("original"), result("augmented", wrong=0), result("augmented", 1), result("_x")]


@pytest.fixture(scope="module")
def html(results):
    sheet = plots.curves(history())
    return report.page(
        compare(results), results, audit=AUDIT, contact_sheets={"<arm>": sheet}, params="url: <x>"
    )


class Parsed(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.text += data


def size(png):
    return Image.open(io.BytesIO(png)).size


PICTURES = {
    "curves": lambda _, dark: plots.curves(history(), NASTY, dark=dark),
    "short curves": lambda _, dark: plots.curves(history(1), dark=dark),
    "confusion": lambda results, dark: plots.confusion(
        matrix_of(results[0].predictions), CLASSES, NASTY, dark=dark
    ),
    "large confusion": lambda _, dark: plots.confusion(
        np.eye(50, dtype=np.int64), [str(n) for n in range(50)], dark=dark
    ),
    "overlay": lambda results, dark: plots.overlay(results, dark=dark),
    "empty overlay": lambda _, dark: plots.overlay([], dark=dark),
    "comparison": lambda results, dark: plots.comparison(compare(results), dark=dark),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_the_same_bytes_each_time_and_differ_in_the_dark(results, name):
    """Whatever is set in matplotlib, and with names that its font and its mathtext do not like."""
    first = PICTURES[name](results, False)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 10}):
        assert PICTURES[name](results, False) == first
        assert mpl.rcParams["font.size"] == 20
    dark = PICTURES[name](results, True)
    assert size(dark) == size(first)
    assert np.asarray(Image.open(io.BytesIO(dark)).convert("L")).mean() < 128
    assert b"Software" not in first


def test_an_arm_keeps_its_colour_whatever_else_is_drawn():
    alone, among = arm_styles(["augmented"]), arm_styles(["x", "original", "augmented"])
    assert alone["augmented"]["color"] == among["augmented"]["color"]
    styles = arm_styles(["original", "augmented", "duplicated", "p", "q", "r", "s"])
    assert len({style["color"] for style in styles.values()}) == 7
    assert len({style["marker"] for style in styles.values()}) == 7


def test_long_and_unprintable_names_are_made_short():
    assert short("a\nb\u202ec", 9) == "a b c"
    assert short("abcdef", 4) == "abc…"


def test_the_page_shows_results_data_and_settings(html):
    text = " ".join(Parsed(html).text.split())
    assert "augmented against original, net: G-mean" in text
    assert "no statement about luck" in text
    assert f"{NASTY}, {NASTY}, {NASTY}, {NASTY}, {NASTY} and 2 more" in text
    assert "params.yaml" in text
    for heading in ("Result", "Data", "New images", "Training", "Confusion matrices"):
        assert heading in text


def test_the_page_escapes_whatever_it_shows(html):
    """Tags and attributes are ours alone; the nasty class name stands there as text."""
    page = Parsed(html)
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "section", "p",
        "figure", "picture", "source", "img", "figcaption", "div", "table", "caption", "thead",
        "tbody", "tr", "th", "td", "span", "code", "details", "summary", "pre",
    }  # fmt: skip
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_the_page_needs_nothing_but_itself(html):
    page = Parsed(html)
    links = [v for _, name, v in page.attributes if name in ("src", "srcset", "href")]
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    without = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|//\w|@import|url\(|<script", without)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html


def test_every_picture_says_in_words_what_it_shows(html):
    alts = [value for tag, name, value in Parsed(html).attributes if (tag, name) == ("img", "alt")]
    assert len(alts) == html.count("<img ") == 7
    assert any("of 8 images of <img src=x onerror=alert(1)>, 7 were called" in alt for alt in alts)
    assert any("net, original: G-mean 0.9354" in alt for alt in alts)


def test_the_page_is_the_same_each_time(results):
    compared = compare(results[:2])
    assert report.page(compared, results[:2]) == report.page(compared, results[:2])


@pytest.mark.parametrize("audit", [None, Audit({}, ())])
def test_the_page_bears_an_audit_that_says_little(audit):
    bare = [result("original", past=False)]
    text = Parsed(report.page(compare(bare), bare, audit=audit)).text
    assert "Training" not in text
    assert "Result" in text


def test_an_evaluation_leaves_its_files(tmp_path):
    past = tmp_path / "history.csv"
    past.write_text(",".join(HISTORY) + "\n1,1,1,1,1,1\n")
    outcome, output = result("original").predictions, tmp_path / "reports" / "original-net-0"
    for _ in range(2):  # the second time it replaces its own folder
        metrics = report.write_evaluation(output, outcome, NASTY, Key("original", "net", 0), past)
    assert sorted(path.name for path in output.iterdir()) == [
        "confusion_matrix.csv", "confusion_matrix.png", "curves.png", "history.csv",
        "metrics.json", "predictions.csv",
    ]  # fmt: skip
    assert read_result(output).metrics == metrics == evaluate(outcome, NASTY)
    assert str(read_result(output).key) == "original-net-0"
    matrix = (output / "confusion_matrix.csv").read_text(encoding="utf-8")
    assert matrix.startswith(f"actual,{NASTY},")
    assert f"\n{NASTY},7,1\n" in matrix


def test_an_evaluation_does_not_replace_a_folder_of_another(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    outcome = result("original").predictions
    with pytest.raises(InputError, match="was not written by the toolkit"):
        report.write_evaluation(tmp_path / "photos", outcome, None, Key("x", "y", 0))
    assert (tmp_path / "photos" / "a.jpg").exists()


def test_dvc_may_leave_a_gitignore_and_no_history_stays_from_before(tmp_path):
    outcome = result("original").predictions
    (tmp_path / ".gitignore").write_text("/metrics.json\n")
    report.write_evaluation(tmp_path, outcome, None, Key("x", "y", 0))
    (tmp_path / "history.csv").touch()
    report.write_evaluation(tmp_path, outcome, None, Key("x", "y", 0))
    assert not (tmp_path / "history.csv").exists()


def test_a_comparison_leaves_its_files(tmp_path, results):
    compared = compare(results)
    report.write_comparison(tmp_path / "summary.json", compared, results)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary(compared)
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 1 + 4 * 4
    assert size((tmp_path / "comparison.png").read_bytes())[0] == 1296
    assert size((tmp_path / "curves.png").read_bytes())[0] == 1296
