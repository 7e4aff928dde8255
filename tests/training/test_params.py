"""Recipes: those of params.yaml and those by name."""

import pytest

from toolkit.training.networks import NETWORKS
from toolkit.training.params import RECIPES, Recipe, TrainParams


def test_recipes_by_name_need_no_params_yaml():
    assert RECIPES["recommended"].frozen
    assert {recipe.network for recipe in RECIPES.values()} <= set(NETWORKS)
    assert TrainParams(recipes=RECIPES).recipes == RECIPES


def test_a_recipe_without_a_size_is_written_as_before():
    """Else every run would have other bytes."""
    assert "size" not in Recipe(network="resnet18", epochs=1).model_dump(mode="json")
    assert Recipe(network="resnet18", epochs=1, size=64).model_dump()["size"] == 64


def test_only_a_backbone_can_be_frozen():
    recipe = {"network": "resnet18", "epochs": 1, "frozen": True}
    with pytest.raises(ValueError, match=r"frozen needs a backbone as network, .*got resnet18"):
        Recipe.model_validate(recipe)
