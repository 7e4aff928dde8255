"""The request without params.yaml is what params.yaml's section is."""

from dataclasses import fields

import pytest

from toolkit.augmentation import params
from toolkit.augmentation.params import Arm, Request
from toolkit.errors import InputError


def test_fields_and_defaults_are_those_of_params():
    ours, theirs = Request(), params.AugmentParams()
    names = [field.name for field in fields(Request)]
    assert sorted(names) == sorted(params.AugmentParams.model_fields)
    for name in set(names) - {"arms"}:
        assert getattr(ours, name) == getattr(theirs, name)
    assert {k: arm.policy for k, arm in ours.arms.items()} == {
        k: arm.policy for k, arm in theirs.arms.items()
    }
    assert set(params.ArmParams.model_fields) <= {field.name for field in fields(Arm)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"format": "bmp"}, "--format must be 'png' or 'jpeg', got 'bmp'"),
        ({"target": 0}, "--target must be more than 0, got 0"),
        ({"target": -0.5}, "--target must be more than 0, got -0.5"),
        ({"seed": 2**32}, "--seed must be from 0 to .*, got 4294967296"),
    ],
)
def test_a_wrong_option_is_named(given, message):
    with pytest.raises(InputError, match=message):
        Request(**given)
