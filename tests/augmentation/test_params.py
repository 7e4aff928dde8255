"""The section augment of params.yaml, and the same options on the command line."""

import pytest

from toolkit.augmentation.params import AugmentParams
from toolkit.errors import InputError
from toolkit.io.schema import override


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "bmp"}, "--format must be 'png' or 'jpeg', got 'bmp'"),
        ({"target": 0}, "--target must be a whole number of 1 or more, or a ratio .*, got 0"),
        ({"target": -0.5}, "--target must be a whole number of 1 or more, or a ratio .* got -0.5"),
        ({"target": 1.5}, "--target must be a whole number of 1 or more, or a ratio .* got 1.5"),
        ({"target": float("nan")}, "--target must be a whole number of 1 or more.* got nan"),
        ({"target": {"a": 0}}, "--target.a must be greater than or equal to 1, got 0"),
        ({"seed": 2**32}, "--seed must be less than 4294967296, got 4294967296"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        override(AugmentParams(), options)


@pytest.mark.parametrize("target", [1, 360, 0.5, 1.0, "auto", {"a": 3}])
def test_a_target_is_taken_as_it_is(target):
    assert override(AugmentParams(), {"target": target}).target == target
