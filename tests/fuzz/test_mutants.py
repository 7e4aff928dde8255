"""A few hundred mutants of each kind; thousands with `python -m tests.fuzz --long`."""

import pytest

from tests.fuzz import mutants

KINDS = ("image", "archive", "manifest.csv", "manifest.json", "plan.csv", "params.yaml",
         "policy.yaml", "predictions.csv", "others' predictions", "policy of albumentations",
         "saved by albumentations",
         "labels.csv", "labels.jsonl", "labels.json", "decisions.csv", "history.csv")  # fmt: skip


def test_every_kind_is_listed(tmp_path):
    assert tuple(mutants.kinds(tmp_path)) == KINDS


@pytest.mark.parametrize("name", KINDS)
def test_a_mutant_is_read_or_refused(name, tmp_path):
    kind = mutants.kinds(tmp_path / "kinds")[name]
    count = 30 if name.endswith((".yaml", "albumentations")) else 300
    outcomes = list(mutants.outcomes(kind, count, tmp_path, workers=2))
    assert not [outcome.what for outcome in outcomes if outcome.what not in ("read", "refused")]
    assert {"read", "refused"} == {outcome.what for outcome in outcomes}


@pytest.mark.parametrize("name", KINDS)
def test_undamaged_files_are_read(name, tmp_path):
    kind = mutants.kinds(tmp_path / "kinds")[name]
    for data in kind.files:
        kind.read(data, tmp_path)
