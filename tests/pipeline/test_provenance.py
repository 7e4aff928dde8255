"""What each stage depends on: its params with their defaults, code, versions, and the photos."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import fill
from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.io import closure
from toolkit.pipeline import params, project, provenance

SMALL = {"network": "resnet18", "epochs": 1}
BASE = {
    "fetch": {"source": "synthetic", "counts": {"with_mask": 3, "without_mask": 2}},
    "train": {"recipes": {"a": SMALL, "b": SMALL}},
    "compare": {"arms": ["original", "augmented"], "recipes": ["a", "b"], "seeds": [0]},
}


def collect(previous=Path("none"), **sections):
    return provenance.collect_provenance(params.parse_params(BASE | sections), previous)


def touched(before, after):
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("sections", "stages"),
    [
        ({"fetch": BASE["fetch"] | {"seed": 1}}, {"fetch"}),
        ({"audit": {"dark": "drop"}}, {"audit"}),
        ({"audit": {"limits": {"pixels": 9999}}}, {"audit", "prepare"}),
        ({"prepare": {"seed": 1}}, {"prepare"}),
        ({"prepare": {"split": "source"}}, {"audit", "prepare"}),
        ({"augment": {"draw": "random"}}, {"augment/augmented"}),
        ({"train": {"recipes": {"a": SMALL, "b": SMALL | {"batch": 8}}}}, {"train/b"}),
        ({"train": BASE["train"] | {"precision": "float32"}}, {"train/a", "train/b"}),
        ({"train": BASE["train"] | {"workers": 3}}, set()),
        ({"train": BASE["train"] | {"tracker": "mlflow"}}, set()),
        ({"evaluate": {"beta": 1.0}}, {"evaluate"}),
        ({"compare": BASE["compare"] | {"seed": 1}}, {"compare", "report"}),
        (
            {"compare": BASE["compare"] | {"seeds": [0, 1]}},
            {"train/a", "train/b", "evaluate", "compare", "report"},
        ),
    ],
)
def test_a_param_touches_the_stages_that_read_it(sections, stages):
    assert touched(collect(), collect(**sections)) == stages


def test_decisions_touch_the_audit_and_prepare_alone_and_only_by_their_content(tmp_path):
    table = tmp_path / "decisions.csv"
    table.write_text("path,decision\na/1.png,keep\n")
    first = collect(prepare={"decisions": str(table)})
    assert touched(collect(), first) == {"audit", "prepare"}
    renamed = str(table.rename(tmp_path / "renamed.csv"))
    assert touched(first, collect(prepare={"decisions": renamed})) == set()
    table.write_text("path,decision\na/1.png,drop\n")
    assert touched(first, collect(prepare={"decisions": str(table)})) == {"audit", "prepare"}


def test_a_table_of_decisions_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"decisions\.csv: .*there is no such file"):
        collect(prepare={"decisions": str(tmp_path / "decisions.csv")})


def test_a_default_written_out_changes_nothing():
    whole = params.parse_params(BASE).model_dump(mode="json")
    assert touched(collect(), collect(**whole)) == set()


def test_the_command_says_what_changed_and_for_which_stages(tmp_path):
    provenance.write_provenance(tmp_path / "p", collect())
    assert provenance.describe_changes(tmp_path / "p", collect()) == []
    after = collect(evaluate={"beta": 1.0}, audit={"limits": {"pixels": 9999}})
    assert provenance.describe_changes(tmp_path / "p", after) == [
        "params.audit.limits.pixels changed: audit",
        "params.limits.pixels changed: prepare",
        "params.evaluate.beta changed: evaluate",
    ]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("torch", {"embed", "train/a", "train/b", "evaluate"}),
        ("cleanlab", {"audit"}),
        ("pydantic", set()),
    ],
)
def test_a_version_touches_the_stages_that_use_the_package(name, stages, tmp_path, monkeypatch):
    before = collect()
    info = tmp_path / f"{name.replace('-', '_')}-99.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(closure, "find_version", closure.find_version.__wrapped__)
    monkeypatch.setattr(closure, "trace_imports", closure.trace_imports.__wrapped__)
    monkeypatch.setattr(provenance, "trace_imports", closure.trace_imports)
    assert touched(before, collect()) == stages


def test_external_transforms_bring_their_versions():
    arm = {"policy": [{"transform": "torchvision.RandomRotation", "arguments": {"degrees": 5}}]}
    found = collect(augment={"arms": {"augmented": arm}})["augment/augmented"]
    assert set(found["external"]) == {"torch", "torchvision"}


def test_passwords_are_not_written():
    git = {"source": "git", "url": "https://me:secret@example.org/x", "commit": "0" * 40}
    assert "secret" not in json.dumps(collect(fetch=git))


def images(folder: Path):
    return collect(fetch={"source": "folder", "path": str(folder)})["fetch"]["images"]


def test_the_listing_tells_every_change_of_the_photos(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 3, "b": 2})
    first, seen = photos / "a" / "000.png", [images(photos)]
    assert seen[0]["files"] == 5
    times, content = first.stat(), bytearray(first.read_bytes())
    content[-20] ^= 1
    first.write_bytes(content)
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))  # as old as before, and as long
    seen.append(images(photos))
    fill(photos, {"c": 1})
    seen.append(images(photos))
    first.rename(first.with_name("other.png"))
    seen.append(images(photos))
    (photos / "c" / "000.png").unlink()
    seen.append(images(photos))
    assert len({found["listing"] for found in seen}) == 5
    assert images(photos) == seen[-1]


def test_an_archive_is_looked_at_too(tmp_path):
    fetch = {"source": "archive", "location": str(tmp_path / "a.zip"), "sha256": "0" * 64}
    (tmp_path / "a.zip").write_bytes(b"one")
    before = collect(fetch=fetch)
    (tmp_path / "a.zip").write_bytes(b"two")
    assert touched(before, collect(fetch=fetch)) == {"fetch"}


def test_photos_that_are_elsewhere_stand_as_they_were(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 3, "b": 2})
    fetch = {"source": "folder", "path": str(photos)}
    before = collect(fetch=fetch)
    provenance.write_provenance(tmp_path / "provenance", before)
    photos.rename(tmp_path / "away")
    assert touched(before, collect(tmp_path / "provenance", fetch=fetch)) == set()


def keep_required_keys(path: Path) -> None:
    """Leave out all that has a default; DVC makes a stage for each arm and recipe."""
    settings = YAML(typ="safe").load(path)
    kept = {"augment": "arms", "train": "recipes"}
    short = {name: {key: settings[name][key]} for name, key in kept.items()}
    YAML().dump({name: settings[name] for name in ("fetch", "compare")} | short, path)


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD", "[]", "{}", '{"images": {}}'])
def test_a_damaged_file_is_written_anew(tmp_path, text):
    provenance.write_provenance(tmp_path / "p", collect())
    (tmp_path / "p" / "fetch.json").write_text(text)
    assert collect(tmp_path / "p") == collect()
    provenance.describe_changes(tmp_path / "p", collect())
    provenance.write_provenance(tmp_path / "p", collect())
    assert json.loads((tmp_path / "p" / "fetch.json").read_text()) == collect()["fetch"]


@pytest.mark.pipeline
def test_dvc_sees_photos_changed_added_renamed_and_deleted(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 4, "b": 3})
    folder = tmp_path / "project"
    project.init_project(folder, "folder", photos)
    keep_required_keys(folder / "params.yaml")
    first, new = photos / "a" / "000.png", photos / "b" / "new.png"

    def ran() -> set[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "dvc", "repro", "audit"]
        environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"Running stage '([^']+)'", done.stdout)) - {"provenance"}

    def raw() -> set[str]:
        kept = folder / "data" / "raw"
        return {str(path.relative_to(kept)) for path in kept.glob("*/*")}

    assert ran() == {"fetch", "audit"}
    first.touch()
    assert ran() == {"fetch"}  # the same bytes: what follows stays
    before = raw()
    new.write_bytes(first.read_bytes() + b"\0")
    (photos / "a" / "002.png").rename(photos / "a" / "renamed.png")
    (photos / "b" / "000.png").unlink()
    first.write_bytes((photos / "a" / "001.png").read_bytes())
    assert ran() == {"fetch", "audit"}
    gone = {"a/002.png", "b/000.png"}
    assert raw() == {*before, "b/new.png", "a/renamed.png"} - gone
