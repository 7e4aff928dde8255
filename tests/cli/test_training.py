"""Options of `toolkit train` that need thought: several seeds."""

import shutil
from pathlib import Path

import pytest
import typer

import toolkit
from tests.conftest import fill
from toolkit.cli import console, main, training
from toolkit.errors import InputError
from toolkit.pipeline import params

PRESET = Path(params.__file__).parent / "presets" / "quick.yaml"


def test_seeds_are_ranges_and_lists():
    found = training._outputs(Path("models/original-r-{seed}"), "0-2,5")
    assert list(found) == [0, 1, 2, 5]
    assert found[5] == Path("models/original-r-5")


@pytest.mark.parametrize("seeds", ["x", "", "1,", "-1", "1-2-5", "1-", "²"])
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises(InputError, match="must be like 0-9 or 0,3,5"):
        training._outputs(Path("run-{seed}"), seeds)


@pytest.mark.parametrize("seeds", ["3-1", "0-10000", "0-99999999999999999999"])
def test_ranges_that_are_empty_or_endless_are_refused(seeds):
    with pytest.raises(InputError, match="must name from 1 to 10000 seeds"):
        training._outputs(Path("run-{seed}"), seeds)


@pytest.mark.parametrize("seeds", ["0,0,1", "0-3,2"])
def test_a_repeated_seed_is_refused(seeds):
    with pytest.raises(InputError, match="must not repeat a seed"):
        training._outputs(Path("run-{seed}"), seeds)


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
    monkeypatch.setattr("sys.argv", [*command, "--output", "run-{seed}", *option])
    assert console.guarded(main.app) == 1
    assert capfd.readouterr().err.startswith(f"error: {OPTIONS[option]}")


def test_a_network_that_needs_larger_images_is_refused_before_they_are_decoded(tmp_path):
    images = fill(tmp_path / "photos", {"a": 3, "b": 3}, size=16)
    with pytest.raises(InputError, match=r"train\.recipes\.r\.network vgg16_bn needs .* 32 px"):
        toolkit.train(
            images, valid=images, recipe="r", recipes={"r": {"network": "vgg16_bn", "epochs": 1}}
        )


def test_runs_of_several_seeds_need_folders_of_their_own():
    with pytest.raises(typer.BadParameter, match=r"--output must contain \{seed\}"):
        training._outputs(Path("run"), "0-9")
