"""A file that takes too long is one finding; it keeps nobody waiting, and takes nobody with it."""

import pytest

from tests.fuzz import worst
from toolkit import audit, codec, data_params, findings, prepare, scanning
from toolkit.errors import InputError


def test_a_slow_file_is_a_finding_and_the_others_are_there(photos, tmp_path):
    (photos / "a" / "slow.jpg").write_bytes(worst.scans(2000))
    found = scanning.scan(photos)
    settings = data_params.Audit.model_validate({"limits": {"seconds": 0.3}})
    result = audit.audit(found, photos, settings, tmp_path / "work")
    told = [finding for finding in result.findings if "a/slow.jpg" in finding.paths]
    assert [finding.message for finding in told] == ["it took more than 0.3 seconds"]
    dropped = {ident for finding in result.findings for ident in finding.drop}
    assert dropped == {sample.id for sample in found.samples if sample.path == "a/slow.jpg"}


def test_prepare_names_a_file_that_takes_too_long(photos, tmp_path):
    (photos / "a" / "slow.jpg").write_bytes(worst.scans(2000))
    every = {"counts": {"train": {"a": 11, "b": 1, "c": 1}, "valid": 1, "test": 1}}
    with pytest.raises(InputError, match=r"a/slow\.jpg: it took more than 0.3 seconds; run"):
        prepare.prepare(
            scanning.scan(photos),
            photos,
            findings.Audit({}, ()),
            tmp_path / "out",
            data_params.Prepare.model_validate({"size": 16, "split": every}),
            limits=codec.Limits(seconds=0.3),
        )
    assert not (tmp_path / "out").exists()
