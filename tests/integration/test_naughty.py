"""Names that break programs go through every stage, from the folder to the page, and break none."""

import csv
import json

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.conftest import noise
from tests.helpers.naughty import TEXTS
from toolkit.cli import main
from toolkit.io import images, manifest
from toolkit.io.csv import escape_formula, read_rows
from toolkit.io.text import HIDDEN

LONG = "-rf é\r\n,\"'; {{7*7}} <b>&amp;\u202e\u2028"
RARE = LONG + "x" * (255 - len(LONG.encode()))
COMMON = '=HYPERLINK("x")<script>alert(1)<img src=x onerror=alert(1)>'
NAMES = [*filter(manifest.is_file_name, TEXTS), "\U0001f600" * 62 + ".jpg", "n" * 251 + ".png"]
PARAMS = {
    "fetch": {"source": "folder", "path": "photos"},
    "prepare": {"size": 16, "split": {"fractions": {"train": 0.6, "valid": 0.2, "test": 0.2}}},
    "augment": {"target": 45, "arms": {"augmented": {"policy": "affine_photo"}}},
    "train": {
        "device": "cpu",
        "threads": 1,
        "recipes": {"r": {"network": "resnet18", "width": 0.125, "epochs": 1, "batch": 32}},
    },
    "evaluate": {"positive": RARE, "resamples": 200},
    "compare": {"arms": ["original", "augmented"], "recipes": ["r"], "seeds": [0]},
}
EVALUATED = ("--test", "data/prepared/test")
STAGES = (
    ("fetch", "--output", "data/raw"),
    ("audit", "data/raw", "--output", "reports/audit.json", "--pictures", "reports/audit",
     "--html", "reports/audit.html"),
    ("prepare", "data/raw", "--audit", "reports/audit.json", "--output", "data/prepared"),
    ("augment", "data/prepared/train", "--arm", "original", "--output", "data/arms/original"),
    ("augment", "data/prepared/train", "--only-new", "--output", "data/arms/augmented"),
    *(
        ("train", "--arm", f"data/arms/{arm}", "--valid", "data/prepared/valid", "--recipe", "r",
         "--seeds", "params", "--output", f"models/{arm}-r")
        for arm in ("original", "augmented")
    ),
    *(
        ("evaluate", f"models/{arm}-r", *EVALUATED, "--output", f"reports/runs/{arm}-r")
        for arm in ("original", "augmented")
    ),
    ("compare", "reports/runs", "--output", "reports/summary.json"),
    ("report", "--output", "reports/index.html"),
    ("predict", "models/original-r/0", "photos", "--output", "predicted.csv"),
    ("augment", "photos", "--output", "balanced", "--target", "80"),
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Every stage, run in one process."""
    folder = tmp_path_factory.mktemp("naughty")
    rng = np.random.default_rng(0)
    for label in (COMMON, RARE):
        (folder / "photos" / label).mkdir(parents=True)
        for name in NAMES[:: 1 if label == COMMON else 2]:
            data = images.encode_png(noise(rng, 16))
            (folder / "photos" / label / name).write_bytes(data)
    YAML().dump(PARAMS, folder / "params.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in STAGES:
            main.app(list(words), standalone_mode=False)
    return folder


def test_every_file_arrives(project):
    found = manifest.read_manifest(project / "data" / "raw")
    assert found.counts() == {COMMON: len(NAMES), RARE: len(NAMES[::2])}
    assert {s.path for s in found.samples if s.label == COMMON} == {f"{COMMON}/{n}" for n in NAMES}
    assert found.notes["rejected"] == []
    balanced = manifest.read_manifest(project / "balanced")
    assert balanced.counts() == {COMMON: 80, RARE: 80}
    assert all((project / "balanced" / s.path).is_file() for s in balanced.samples)
    with (project / "predicted.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(read_rows(stream))[1:]
    assert {row[0] for row in rows} == {f"photos/{s.path}" for s in found.samples}


def test_no_table_holds_a_formula(project):
    tables = list(project.rglob("*.csv"))
    assert len(tables) > 15
    for path in tables:
        with path.open(newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream, strict=True) for cell in row]
        assert not [cell for cell in cells if escape_formula(cell) != cell and cell[0] != "'"]


@pytest.mark.parametrize("name", ["index", "audit"])
def test_the_page_shows_names_and_runs_none(project, name):
    page = (project / "reports" / f"{name}.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{7*7}}" in page or "{{7*7" in page
    assert "&lt;b&gt;&amp;amp;\\u202e" in page
    assert not HIDDEN.search(page)


def test_every_json_is_strict(project):
    def refuse(name):
        raise AssertionError(name)

    for path in project.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
