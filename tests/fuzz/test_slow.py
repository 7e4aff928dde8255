"""A file that takes too long is one finding; it keeps nobody waiting, and takes nobody with it."""

import pytest

from tests.fuzz import worst
from toolkit.checks import audit
from toolkit.checks.params import AuditParams
from toolkit.datasets import folders, params, prepare
from toolkit.errors import InputError
from toolkit.io import images


def test_a_slow_file_is_a_finding_and_the_others_are_there(photos, tmp_path):
    (photos / "a" / "slow.jpg").write_bytes(worst.scans(2000))
    found = folders.scan(photos)
    settings = AuditParams.model_validate({"limits": {"seconds": 0.3}})
    result = audit.run_checks(found, photos, settings, tmp_path / "work")
    told = [finding for finding in result.findings if "a/slow.jpg" in finding.paths]
    assert [finding.message for finding in told] == ["it took more than 0.3 seconds"]
    dropped = {ident for finding in result.findings for ident in finding.drop}
    assert dropped == {sample.id for sample in found.samples if sample.path == "a/slow.jpg"}


def test_prepare_names_a_file_that_takes_too_long(photos, tmp_path):
    (photos / "a" / "slow.jpg").write_bytes(worst.scans(2000))
    every = {"counts": {"train": {"a": 11, "b": 1, "c": 1}, "valid": 1, "test": 1}}
    with pytest.raises(InputError, match=r"a/slow\.jpg: it took more than 0.3 seconds; run"):
        prepare.write_splits(
            folders.scan(photos),
            photos,
            tmp_path / "out",
            params.PrepareParams.model_validate({"size": 16, "split": every}),
            limits=images.ImageLimits(seconds=0.3),
        )
    assert not (tmp_path / "out").exists()
