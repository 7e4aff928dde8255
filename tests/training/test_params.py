"""Recipes: those of params.yaml and those by name."""

from importlib.resources import files

from ruamel.yaml import YAML

from toolkit.training.networks import NETWORKS
from toolkit.training.params import RECIPES, Recipe, TrainParams


def test_recipes_by_name_need_no_params_yaml():
    assert RECIPES["recommended"].network == "resnet18"
    assert {recipe.network for recipe in RECIPES.values()} <= set(NETWORKS)
    assert TrainParams(recipes=RECIPES).recipes == RECIPES


def test_recipes_of_the_quick_preset_are_the_same_by_name():
    preset = files("toolkit.pipeline") / "presets" / "quick.yaml"
    section = TrainParams.model_validate(YAML(typ="safe").load(preset.read_text())["train"])
    assert section.recipes == {name: RECIPES[name] for name in section.recipes}


def test_a_recipe_without_a_size_is_written_as_before():
    """Else every run would have other bytes."""
    assert "size" not in Recipe(network="resnet18", epochs=1).model_dump(mode="json")
    assert Recipe(network="resnet18", epochs=1, size=64).model_dump()["size"] == 64
