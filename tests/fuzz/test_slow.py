"""A file that takes too long to decode is one finding, and all others are still read."""

import pytest

from tests.fuzz import worst
from toolkit.checks import audit
from toolkit.checks.params import AuditParams
from toolkit.datasets import folders, params, prepare
from toolkit.errors import InputError
from toolkit.io import images


def test_a_slow_file_is_the_only_one_dropped(photos, tmp_path):
    (photos / "a" / "slow.jpg").write_bytes(worst.scans(2000))
    manifest = folders.scan(photos)
    settings = AuditParams.model_validate({"limits": {"seconds": 0.3}})
    result = audit.run_checks(manifest, photos, settings, tmp_path / "work")
    slow = [finding for finding in result.findings if "a/slow.jpg" in finding.paths]
    assert [finding.message for finding in slow] == ["it took more than 0.3 seconds"]
    dropped = {ident for finding in result.findings for ident in finding.drop}
    assert dropped == {sample.id for sample in manifest.samples if sample.path == "a/slow.jpg"}


def test_prepare_names_a_file_that_takes_too_long(photos, tmp_path):
    (photos / "a" / "slow.jpg").write_bytes(worst.scans(2000))
    split = {"counts": {"train": {"a": 11, "b": 1, "c": 1}, "valid": 1, "test": 1}}
    with pytest.raises(InputError, match=r"a/slow\.jpg: it took more than 0.3 seconds; run"):
        prepare.write_splits(
            folders.scan(photos),
            photos,
            tmp_path / "out",
            params.PrepareParams.model_validate({"size": 16, "split": split}),
            limits=images.ImageLimits(seconds=0.3),
        )
    assert not (tmp_path / "out").exists()
