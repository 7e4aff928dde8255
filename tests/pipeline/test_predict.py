"""Predictions take the run's decisions; they are sorted, shown and printed."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import toolkit
from tests.conftest import fill
from tests.helpers.arms import arm, trained
from tests.helpers.schemas import checked_json
from toolkit.cli.main import app
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.metrics import predictions, thresholds
from toolkit.metrics.decisions import apply_decisions
from toolkit.metrics.params import EvaluateParams
from toolkit.pipeline.steps.predict import expand_patterns, folder_labels, unique_paths
from toolkit.training import inference, runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"))


@pytest.fixture
def photos(tmp_path):
    return arm(tmp_path / "photos", {"a": 4, "b": 3}, seed=2)


def without_manifest(folder):
    for name in ("manifest.csv", "manifest.json"):
        (folder / name).unlink()
    return folder


def test_a_run_carries_what_it_predicts_for_valid(run):
    about = runs.read_run(run)
    again = inference.predict_folder(run, run.parent / "valid")
    assert (runs.read_valid(about).scores == again.scores).all()
    assert runs.read_valid(about).ids == again.ids


def test_scores_are_calibrated_and_the_runs_threshold_decides(run, photos):
    about, raw = runs.read_run(run), toolkit.predict(run, photos, raw=True)
    assert raw.predicted == inference.predict_folder(run, photos).predicted
    decided = toolkit.predict(run, photos, positive="b")
    valid = runs.read_valid(about)
    chosen = thresholds.choose_threshold(valid, "b", EvaluateParams())
    assert decided.predicted == thresholds.apply_threshold(raw, "b", chosen).predicted
    assert about.rarest == "b"
    assert (toolkit.predict(run, photos).scores == decided.scores).all()
    assert (apply_decisions(raw, about.decisions).scores == decided.scores).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "must be a probability from 0 to 1, got 1.5"),
        ({"threshold": "best"}, "--threshold must be gmean, cost:RATIO"),
        ({"positive": "c"}, "got 'c' of"),
    ],
)
def test_decisions_that_cannot_be_are_refused(run, photos, options, message):
    with pytest.raises(InputError, match=message):
        toolkit.predict(run, photos, **options)


def test_a_probability_may_be_given(run, photos):
    assert set(toolkit.predict(run, photos, threshold=0.0).predicted) == {"b"}
    assert set(toolkit.predict(run, photos, threshold="1").predicted) == {"a"}


def test_each_image_is_copied_to_its_class_once(run, photos, tmp_path):
    first = without_manifest(photos)
    shutil.copytree(first, tmp_path / "more" / "again")
    places = [first, tmp_path / "more"]
    found = toolkit.predict(run, places, sort_into=tmp_path / "sorted")
    copies = sorted((tmp_path / "sorted").rglob("*.png"))
    assert len(copies) == len(found.ids) == 14
    assert {files.sha256(path) for path in copies} == {
        files.sha256(path) for path in first.rglob("*.png")
    }
    assert {path.parent.name for path in copies} == set(found.predicted)
    assert (tmp_path / "sorted" / "predictions.csv").is_file()


def test_a_folder_with_files_is_not_sorted_into(run, photos, tmp_path):
    """Also if it holds a table of predictions, as any folder may."""
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "predictions.csv").write_text("mine")
    with pytest.raises(InputError, match="mine: is not empty; move it away or choose another"):
        toolkit.predict(run, photos, sort_into=kept)
    assert (kept / "predictions.csv").read_text() == "mine"


def test_names_in_a_folder_of_a_class_are_unique():
    long = "é" * 126 + ".png"
    names = ["1.png", "1.png", "1-2.png", "1.png", "1-2.png", "x", "x", long, long]
    found = [path.removeprefix("a/") for path in unique_paths(("a", name) for name in names)]
    assert found[:7] == ["1.png", "1-2.png", "1-2-2.png", "1-3.png", "1-2-3.png", "x", "x-2"]
    assert found[7:] == [long, "é" * 124 + "-2.png"]
    assert list(unique_paths([("a", "x"), ("b", "x")])) == ["a/x", "b/x"]


@pytest.mark.parametrize("option", ["output", "html"])
def test_an_image_is_not_written_over(run, photos, option):
    """As by `--output photos/*.png`, of which the shell makes the first photo the output."""
    path = next(photos.rglob("*.png"))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"has the ending of what is read, \.png, and would"):
        toolkit.predict(run, photos, **{option: path})
    assert path.read_bytes() == before


def test_the_page_shows_the_least_certain_first(run, photos, tmp_path):
    found = toolkit.predict(run, photos, html=tmp_path / "page.html", threshold=0.5)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img") == 7
    column = found.classes.index("b")
    closest = min(range(7), key=lambda row: abs(found.scores[row][column] - 0.5))
    table = page[page.index("<tbody>") :]
    assert f"{found.scores[closest][column]:.4f}" in table[: table.index("</tr>")]


HOSTILE = {
    "broken.png": b"\x89PNG\r\n\x1a\n",
    "empty.jpg": b"",
    "page.jpg": b"<!DOCTYPE html>",
    "bomb.png": b"\x1f\x8b" + bytes(99),  # begins as an archive does
}


@pytest.fixture
def damaged(photos):
    without_manifest(photos)
    for name, data in HOSTILE.items():
        (photos / name).write_bytes(data)
    return photos


def invoked(monkeypatch, folder, *words):
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, ["predict", *map(str, words), "--quiet"])


def test_each_file_is_a_row_or_its_error(run, damaged, monkeypatch, tmp_path):
    patterns = ("photos/**/*.png", "photos/[!b]*.jpg", "photos/nothing.jpg")
    done = invoked(monkeypatch, tmp_path, run, *patterns, "--output", "o.csv", "--html", "o.html")
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))
    failed = {row["path"]: row for row in rows if row["error"]}
    assert set(failed) == {f"photos/{name}" for name in (*HOSTILE, "nothing.jpg")}
    assert {row["predicted"] for row in failed.values()} == {""}
    assert len(rows) == 7 + 5
    assert "5 files are not used, of 12" in str(done.exception)
    assert (tmp_path / "o.html").read_text().count("<img") == 7


def test_one_that_is_no_archive_is_an_error_only_among_others(run, damaged, tmp_path):
    bomb, fine = damaged / "bomb.png", damaged / "a" / "000.png"
    with pytest.raises(InputError, match=r"bomb\.png: damaged archive"):
        toolkit.predict(run, bomb)
    assert list(toolkit.predict(run, [bomb, fine, fine]).problems) == [str(bomb)]


def test_a_link_that_a_pattern_finds_is_not_followed(run, tmp_path):
    photos = fill(tmp_path / "photos", {"a": 1, "more": 1})
    (photos / "a" / "link.png").symlink_to(photos / "more" / "000.png")
    (photos / "b").symlink_to(photos / "more")
    found = toolkit.predict(run, f"{photos}/[ab]/*.png")
    assert list(found.ids) == [str(photos / "a" / "000.png")]
    linked = [str(photos / name) for name in ("a/link.png", "b/000.png")]
    assert {name: found.problems[name][:15] for name in linked} == dict.fromkeys(
        linked, "a symbolic link"
    )
    assert toolkit.predict(run, linked[0]).ids == (linked[0],)


def test_a_pattern_that_nothing_fits_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="no file fits this pattern; expected such as"):
        toolkit.predict(run, tmp_path / "*.jpg")


def test_patterns_fit_files_and_else_folders_but_no_hidden_ones(tmp_path):
    for name in ("a/1.jpg", "a/.2.jpg", ".b/3.jpg", "c/d/4.jpg"):
        files.write_file(tmp_path / name, b"")
    fitting = lambda pattern: [  # noqa: E731
        Path(path).relative_to(tmp_path).as_posix()
        for path in expand_patterns([f"{tmp_path}/{pattern}"])
    ]
    assert fitting("**/*.jpg") == ["a/1.jpg", "c/d/4.jpg"]
    assert fitting("*") == ["a", "c"]
    (tmp_path / "a[1].jpg").touch()
    assert fitting("a[1].jpg") == ["a[1].jpg"]


def test_an_archive_is_predicted_file_by_file(run, damaged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.make_archive("photos", "zip", damaged)
    found = toolkit.predict(run, "photos.zip")
    assert (len(found.ids), len(found.problems)) == (7, 4)
    assert sorted(found.actual) == ["a"] * 4 + ["b"] * 3


def test_of_a_folder_with_a_manifest_a_changed_file_is_an_error(run, photos):
    changed = photos / "a" / "000.png"
    changed.write_bytes((photos / "b" / "000.png").read_bytes())
    found = toolkit.predict(run, photos)
    assert len(found.ids) == len(found.actual) == 6
    assert list(found.problems.values()) == [
        f"changed since the manifest was written (its sha256 differs) ({changed})"
    ]


def test_a_table_with_errors_can_be_evaluated(run, photos, tmp_path):
    (photos / "a" / "000.png").write_bytes(b"")
    toolkit.predict(run, photos, output=tmp_path / "p.csv")
    lines: list[str] = []
    read = predictions.read_predictions(tmp_path / "p.csv", say=lines.append)
    assert len(read.ids) == 6
    assert "1 rows with an error are left out" in lines[0]


def test_json_has_an_entry_of_the_same_keys_for_each_file(run, damaged, tmp_path, monkeypatch):
    done = invoked(monkeypatch, tmp_path, run, "photos", "--json")
    content = checked_json("predict", done.stdout)
    *read, _, _, _, failed = content["images"]
    assert content["classes"] == ["a", "b"]
    assert len(read) == 7
    assert list(read[0]) == list(failed) == ["file", "actual", "predicted", "scores", "error"]
    assert sum(read[0]["scores"].values()) == pytest.approx(1)
    assert (failed["file"], failed["scores"]) == ("photos/page.jpg", None)
    assert isinstance(done.exception, InputError)


def test_torchs_compiler_is_not_imported(run, photos):
    """It takes about as long as all the rest of a start."""
    code = (
        "import sys, toolkit; toolkit.predict(*sys.argv[1:]); "
        "assert not [name for name in sys.modules if name.startswith('torch._dynamo')]"
    )
    subprocess.run([sys.executable, "-c", code, run, photos], check=True, timeout=120)


def labels(tmp_path, *names, settings=BY_NAME):
    """Return the labels of an image in each of these folders, and what is said."""
    folder = fill(tmp_path / "photos", dict.fromkeys(names, 1))
    lines: list[str] = []
    paths = [folder / name / "000.png" for name in names]
    return folder_labels(folder, paths, ["ill", "well"], settings, lines.append), lines


def test_they_are_the_class_folders_wherever_these_are(tmp_path):
    found, lines = labels(tmp_path, "x/Testing/ill", "x/Testing/well", "x/train/ill")
    assert found == ("ill", "well", "ill")
    assert "in x: 2 splits (train, Testing -> test) x 2 classes (ill, well)" in lines[0]


@pytest.mark.parametrize("names", [[""], ["2023/jan", "2024/feb"], ["train", "test"]])
def test_folders_that_are_no_classes_give_none(tmp_path, names):
    assert labels(tmp_path, *names) == ((), [])


def test_a_class_that_the_run_does_not_know_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must be among \['ill', 'well'\], got sick; rename"):
        labels(tmp_path, "sick", "well")


def test_where_two_readings_fit_there_are_none_unless_an_option_decides(tmp_path):
    sites = ("A/ill", "A/well", "B/ill", "B/well")
    found, lines = labels(tmp_path, *sites)
    assert found == ()
    assert "the column actual stays empty: " in lines[0]
    found, _ = labels(tmp_path, *sites, settings=ReadParams(layout="any/class"))
    assert found == ("ill", "well", "ill", "well")
