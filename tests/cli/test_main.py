"""The command line as people and scripts use it: real processes, exit codes, messages."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import fill
from tests.helpers.waiting import TIMEOUT
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.cli import console, main

PRESETS = Path(main.__file__).parents[1] / "pipeline" / "presets"
COMMANDS = ("init", "fetch", "audit", "prepare", "augment", "policies", "train", "evaluate",
            "compare", "sweep", "probe", "report", "predict", "provenance")  # fmt: skip


def toolkit(folder: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "toolkit", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, timeout=TIMEOUT
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ('--arm a probe data/arms/{arm} --output {arm}.json', "probe data/arms/a --output a.json"),
        ("--arm a --recipe r train --arm x/{arm} --output {arm}-{recipe}-{seed}",
         "train --arm x/a --output a-r-{seed}"),
        ("--arm {recipe} --recipe r probe {arm}", "probe {recipe}"),
        ("probe {arm} --arm a", "probe {arm} --arm a"),
        ("--arm", "--arm"),
    ],
)  # fmt: skip
def test_names_before_a_command_are_put_into_it(given, run):
    assert main.fill_names(given.split()) == run.split()


def test_the_commands_of_the_pipeline_are_for_any_systems_shell():
    stages = (PRESETS / "pipeline.yaml").read_text()
    commands = re.findall(r"^    cmd: (.*(?:\n      .*)*)", stages, re.M)
    assert len(commands) == 12
    for command in commands:
        assert re.fullmatch(r"""toolkit( \$\{item\})?([ \n]+([\w/.-]+|"[\w/.{}-]+"))+""", command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    assert f"Example: toolkit {command}" in CliRunner().invoke(main.app, [command, "--help"]).stdout


@pytest.mark.parametrize("words", [["augment", "-h"], ["augment", "--nothing"], ["augment", "a"]])
def test_a_command_alone_answers_as_it_does_among_all(words):
    (augment,) = (command for command in main.COMMANDS if command.__name__ == "augment")
    alone, among = (
        CliRunner().invoke(app, words, prog_name="toolkit")
        for app in (main.make_app([augment]), main.app)
    )
    assert (alone.exit_code, alone.output) == (among.exit_code, among.output)


def test_help_and_augment_import_nothing_that_they_do_not_need(tmp_path, photos):
    code = (
        "import sys; from toolkit.cli.main import app; app(sys.argv[1:], standalone_mode=False);"
        "unwanted = {'torch', 'sklearn', 'imblearn', 'albumentations', 'urllib.request'};"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    arguments = ["augment", str(photos), "--output", str(tmp_path / "out"), "--target", "15"]
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_augment_makes_a_complete_training_folder(tmp_path, photos):
    toolkit(tmp_path, "augment", photos, "--output", "out", "--target", 10)
    counts = {p.name: len(list(p.iterdir())) for p in (tmp_path / "out").iterdir() if p.is_dir()}
    assert counts == {"a": 12, "b": 10, "c": 10}
    before = tree(photos)
    assert {k: v for k, v in tree(tmp_path / "out").items() if k in before} == before
    assert (tmp_path / "out.png").is_file()


def test_augment_only_the_class_that_is_named(tmp_path, photos):
    toolkit(tmp_path, "augment", photos, "-o", "out", "--target", 20, "--class", "c", "--only-new")
    with (tmp_path / "out" / "manifest.csv").open() as stream:
        new = [row for row in csv.DictReader(stream) if row["parent"]]
    assert {row["label"] for row in new} == {"c"}
    assert len(new) == 14


def test_augment_gives_the_same_bytes_with_any_number_of_workers(tmp_path, photos):
    for n in (1, 3):
        toolkit(tmp_path, "augment", photos, "-o", f"out{n}", "--target", 40, "--workers", n)
    assert tree(tmp_path / "out1") == tree(tmp_path / "out3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "3", "--class", "a"], "asks for 3 images of class 'a', which has 12"),
        (["--class", "z"], "unknown class 'z'"),
        (["--policy", "homwork"], "did you mean 'homework'"),
        (["--format", "bmp"], "--format must be 'png' or 'jpeg', got 'bmp'"),
        (["--arm", "other"], "--arm must be one of original, augmented"),
    ],
)
def test_augment_mistakes_are_one_message_and_write_nothing(tmp_path, photos, arguments, message):
    done = toolkit(tmp_path, "augment", photos, "-o", "out", *arguments, code=1)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_photo_folder_is_never_replaced(tmp_path, photos):
    before = tree(photos)
    fill(tmp_path / "other", {"a": 3, "b": 2})
    toolkit(tmp_path, "augment", "other", "--output", photos, "--target", 5, code=1)
    assert tree(photos) == before


def test_a_picture_where_the_sheet_goes_is_replaced_with_force_alone(tmp_path, photos):
    (tmp_path / "out.png").write_text("mine")
    arguments = ("augment", photos, "--output", "out", "--target", 8, "--class", "c")
    done = toolkit(tmp_path, *arguments, code=1)
    assert "out.png: stands where a file of the output" in done.stderr
    assert (tmp_path / "out.png").read_text() == "mine"
    assert not (tmp_path / "out").exists()
    done = toolkit(tmp_path, *arguments, "--force", "--shards", 2)
    assert "a: 12 originals + 0 new = 12 (large enough already)" in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tar")) == [
        "shard-000000.tar",
        "shard-000001.tar",
    ]
    shutil.rmtree(tmp_path / "out")
    toolkit(tmp_path, *arguments)


def test_a_target_may_be_what_the_messages_advise(tmp_path, photos):
    out = ("augment", photos, "--output", "out", "--target")
    advice = toolkit(tmp_path, *out, "0.5", code=1).stderr
    assert "give a number, or a mapping class -> number, such as {c: 12}" in " ".join(
        advice.split()
    )
    done = toolkit(tmp_path, *out, "{c: 12, b: 9}")
    assert "c: 6 originals + 6 new = 12" in done.stderr
    assert "b: 8 originals + 1 new = 9" in done.stderr
    wrong = toolkit(tmp_path, *out, "{c: 12", "--force", code=1)
    assert "--target must be like --target '{without_mask: 360}'" in " ".join(wrong.stderr.split())


def test_a_policy_is_written_out_and_taken_again(tmp_path, photos):
    listed = toolkit(tmp_path, "policies").stdout.splitlines()
    assert {line.split()[0] for line in listed[1:]} == set(POLICIES)
    (tmp_path / "mine.yaml").write_text(toolkit(tmp_path, "policies", "augmix").stdout)
    for policy in ("augmix", "mine.yaml"):
        out = ("-o", policy[:4], "--class", "c", "--target", 9)
        toolkit(tmp_path, "augment", photos, *out, "--policy", policy)
    assert tree(tmp_path / "augm") == tree(tmp_path / "mine")
    assert "did you mean 'augmix'" in toolkit(tmp_path, "policies", "augmx", code=1).stderr


def test_audit_is_useful_on_any_folder(tmp_path, photos):
    (photos / "a" / "page.jpg").write_text("<!DOCTYPE html>")
    done = toolkit(tmp_path, "audit", photos)
    assert [line.split() for line in done.stdout.splitlines()[:3]] == [
        ["split", "a", "b", "c"],
        ["all", "12", "8", "6"],
        ["cannot", "be", "used", "1", "0", "0"],
    ]
    assert "not_an_image      1        drop" in done.stdout
    assert "not_an_image:\n  a/page.jpg: not an image" in done.stdout
    assert "exact_duplicates  0        group" in done.stdout


def test_audit_of_a_folder_without_classes_is_no_clean_bill(tmp_path, photos):
    done = toolkit(tmp_path, "audit", photos / "a", code=1)
    assert "a: no class folder; expected <split>/<class>/file or <class>/file" in done.stderr


@pytest.mark.parametrize("option", ["--output", "--html", "--pictures"])
def test_audit_overwrites_no_image(tmp_path, photos, option):
    image = next((photos / "a").iterdir())
    before = image.read_bytes()
    place = image.parent if option == "--pictures" else image
    done = toolkit(tmp_path, "audit", photos, option, place, code=1)
    assert re.search("lies among the images|was not written by the toolkit", done.stderr)
    assert image.read_bytes() == before


def test_the_audits_page_is_named_after_the_folder_it_was_called_in(tmp_path, photos):
    toolkit(photos, "audit", ".", "--html", tmp_path / "page.html", "--work", tmp_path / "work")
    assert f"Audit of {photos.name}" in (tmp_path / "page.html").read_text()


def test_evaluate_and_compare_take_any_tools_predictions(tmp_path):
    for name, hits in (("original", 8), ("augmented", 9)):
        rows = [("x", "x")] * hits + [("x", "y")] * (10 - hits) + [("y", "y")] * 5
        lines = [f"{actual},{predicted}" for actual, predicted in rows]
        (tmp_path / f"{name}.csv").write_text("\n".join(["actual,predicted", *lines, ""]))
    done = toolkit(tmp_path, "evaluate", "original.csv", "--output", "report")
    assert "0.8944" in done.stdout
    done = toolkit(tmp_path, "compare", "original.csv", "augmented.csv")
    assert "+0.054" in done.stdout
    assert "do nothing" in done.stdout  # the leaderboard
    assert "without scores there is no ranking" in done.stdout
    assert not (tmp_path / "summary.json").exists()


def predictions(folder: Path, name: str, hits: int) -> None:
    """`hits` of 40 images of x are found, and all five of y."""
    rows = ["x,x"] * hits + ["x,y"] * (40 - hits) + ["y,y"] * 5
    (folder / name).write_text("\n".join(["actual,predicted", *rows, ""]))


def test_tables_of_other_tools_are_named_and_compared_by_what_their_paths_share(tmp_path):
    rows = [("a", "a")] * 12 + [("a", "b")] * 3 + [("b", "b")] * 5
    for name, header, path in (
        ("one.csv", "filepath;y_true;y_pred", "test/{}.jpg"),
        ("two.csv", "image;truth;decision", "C:\\x\\test\\{}.jpg"),
    ):
        lines = [f"{path.format(n)};{a};{p}" for n, (a, p) in enumerate(rows)]
        (tmp_path / name).write_text("\n".join([header, *lines, ""]))
    given = ("--predicted", "y_pred", "--predicted", "decision")
    done = toolkit(tmp_path, "compare", "one.csv", "two.csv", *given)
    assert "one.csv: separated by semicolons; actual is 'y_true'" in done.stderr
    assert "ids are compared by their last 2 parts" in done.stderr
    assert "two" in done.stdout


def test_compare_takes_named_files_as_seeds_of_their_arm(tmp_path):
    for number, hits in enumerate((20, 21, 39, 38)):
        predictions(tmp_path, f"{number}.csv", hits)
    given = ["original=0.csv", "original=1.csv", "mine=2.csv", "mine=3.csv"]
    lines = toolkit(tmp_path, "compare", *given).stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["predictions", "original", "2"], ["predictions", "mine", "2"],
    ]  # fmt: skip
    assert any(line.startswith("mine against original, predictions: ") for line in lines)
    assert "Class 'y' has 5 test images, so each of them is 0.200 of its recall." in lines


def test_compare_takes_a_file_whose_name_has_an_equals_sign(tmp_path):
    predictions(tmp_path, "a=1.csv", 30)
    predictions(tmp_path, "b.csv", 31)
    said = toolkit(tmp_path, "compare", "a=1.csv", "mine=b.csv", "--markdown").stdout
    assert "| predictions | a=1 | 1 |" in said
    assert "| predictions | mine | 1 |" in said


def test_compare_names_the_baseline(tmp_path):
    predictions(tmp_path, "a.csv", 30)
    predictions(tmp_path, "b.csv", 31)
    said = toolkit(tmp_path, "compare", "a.csv", "b.csv", "--baseline", "b").stdout
    assert "a against b, predictions: " in said


def test_probe_says_in_words_how_well_copies_are_told_apart(tmp_path, photos):
    chosen = ("--class", "c", "--target", 12, "--policy", "duplicate")
    toolkit(tmp_path, "augment", photos, "-o", "out", *chosen)
    done = toolkit(tmp_path, "probe", "out", "--output", "probe.json")
    assert "6 new images cannot be told from 6 originals: AUC 0.50" in done.stdout
    assert "0.5: cannot be told apart; 1: always" in done.stdout
    assert json.loads((tmp_path / "probe.json").read_text())["by_transform"]["identity"]["new"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "--output", "raw"], "params.yaml: no such file"),
        (["audit", "nowhere"], "nowhere: no such folder"),
        (["augment"], "params.yaml: no such file"),
        (["evaluate", "nowhere.csv", "--output", "x"], "nowhere.csv"),
        (["compare", "nowhere.csv"], "nowhere.csv"),
        (["compare"], "reports/runs: no such evaluation; name CSV files of predictions, or what"),
        (["report"], "params.yaml: no such file; run this in a project's folder"),
        (["evaluate", "models/x", "-o", "x", "--test", "y"], "models/x: no such run and no such"),
        (["train", "--arm", "nowhere", "--valid", "x"], "nowhere: no such folder; it is looked"),
        (["compare", "mine=nowhere.csv"], "nowhere.csv: no such file"),
        (["compare", "--rev", "main", "HEAD"], "`git rev-parse` failed: not a git repository"),
        (["sweep", "--target", "60"], "params.yaml: no such file"),
        (["probe", "nowhere"], "nowhere/manifest.csv: no such file"),
        (["predict", "nowhere", "x.jpg"], "no such file"),
    ],
)
def test_missing_inputs_are_one_message(tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert console.guarded(partial(main.app, arguments, standalone_mode=False)) == 1
    assert message in capfd.readouterr().err


def test_wrong_usage_ends_with_two(tmp_path):
    toolkit(tmp_path, "augment", "--tarqet", "3", code=2)
    toolkit(tmp_path, "augment", "photos", "--target", "3", code=2)
    toolkit(tmp_path, "sweep", code=2)
    toolkit(tmp_path, "sweep", "--target", "60", "--leave-one-out", "augmented", code=2)


def test_damaged_photos_are_counted_listed_and_never_copied(tmp_path, photos):
    for k, file in enumerate(sorted((photos / "a").iterdir())[:3]):
        file.write_bytes(file.read_bytes()[: 60 - k])
    (photos / "b" / "page.jpg").write_text("<!DOCTYPE html>")
    told = "4 files are not used, of 27: damaged image (3), not an image (1); the first is"
    done = toolkit(tmp_path, "augment", photos, "--output", "out", "--target", 10)
    assert f"photos: {told}" in done.stderr
    assert "all are listed in out/manifest.json" in done.stderr
    assert "a: 9 originals + 1 new = 10" in done.stderr
    assert told in toolkit(tmp_path, "init", "project", "--images", photos).stderr
