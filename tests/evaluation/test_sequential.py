"""Several looks at one contrast: no more false alarms than one look."""

import numpy as np
import pytest
from scipy.special import ndtri

from toolkit.errors import InputError
from toolkit.evaluation import sequential
from toolkit.metrics import significance


@pytest.mark.parametrize("shares", [[0.125, 0.25, 0.5, 1.0], [0.9, 0.95, 0.98, 1.0], [0.6, 1.0]])
def test_all_looks_together_raise_false_alarms_in_five_percent(shares):
    levels = sequential.look_levels(shares)
    steps = np.sqrt(np.diff([0.0, *shares]))
    walks = (np.random.default_rng(0).normal(size=(100_000, len(shares))) * steps).cumsum(axis=1)
    found = np.abs(walks / np.sqrt(shares)) > -ndtri(np.array(levels) / 2)
    assert found.any(axis=1).mean() == pytest.approx(0.05, abs=0.0025)
    naive = np.abs(walks / np.sqrt(shares)) > ndtri(0.975)
    assert naive.any(axis=1).mean() > 0.055


def test_a_look_at_what_is_known_already_spends_nothing():
    assert sequential.look_levels([1.0, 1.0, 1.0]) == pytest.approx((0.05,) * 3)


@pytest.mark.parametrize(
    ("first", "most", "looks"),
    [(3, 2, (3,)), (3, 4, (3, 4)), (3, 13, (3, 6, 13)), (3, 50, (3, 6, 12, 24, 50))],
)
def test_looks_are_planned_by_doubling_up_to_what_is_affordable(first, most, looks):
    assert sequential.plan_looks(first, most) == looks


def test_without_looks_nothing_is_corrected():
    assert sequential.look_at(7, ()) == sequential.ONCE
    of = significance.networks_difference(
        np.array([0.9]), np.array([0.8]), np.diag([1e-3, 1e-3]), 60
    )
    assert sequential.ONCE.widen(of) == of


def test_an_interval_holds_at_all_looks_and_excludes_nothing_where_p_does_not():
    look = sequential.look_at(3, (3, 6, 12))
    of = significance.difference(
        np.array([0.90, 0.92, 0.94]), np.array([0.8, 0.82, 0.81]), np.eye(6) * 1e-5 + 1e-5, 60
    )
    wide = look.widen(of)
    assert wide.low < of.low < of.high < wide.high
    assert (wide.low > 0) == (of.p * look.tests < sequential.ALPHA)


def test_a_number_of_runs_that_is_no_look_is_refused():
    with pytest.raises(InputError, match=r"planned with 3, 6 and 12 runs .* and there are 4"):
        sequential.look_at(4, (3, 6, 12))
