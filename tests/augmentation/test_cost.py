"""What new images cost is measured on a few of them, before any is written."""

import shutil

import pytest

import toolkit
from tests.conftest import fill
from toolkit.errors import InputError


def test_more_than_the_limit_is_told_in_images_megabytes_and_minutes(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 8, "b": 2})
    with pytest.raises(InputError) as caught:
        toolkit.augment(photos, tmp_path / "out", target=3000, limit=0.5)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/out: 5,990 new images, about ")
    assert " minutes, more than augment.limit, 0 MB; ask for it with --yes" in said
    megabytes = int(said.partition("about ")[2].partition(" MB")[0])
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    toolkit.augment(photos, tmp_path / "out", target=60, limit=0.01, yes=True)
    new = [path.stat().st_blocks * 512 for path in (tmp_path / "out").rglob("new-*")]
    assert 0.5 < megabytes * 1e6 / (sum(new) / len(new) * 5990) < 2
    with pytest.raises(InputError, match="1,999,999,990 new images"):  # at once
        toolkit.augment(photos, tmp_path / "big", target=10**9)


def test_new_images_that_do_not_fit_on_the_disk_are_refused(tmp_path, monkeypatch):
    photos = fill(tmp_path / "photos", {"a": 8, "b": 2})
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"out: 290,000 new images take .* GB are free there"):
        toolkit.augment(photos, tmp_path / "out", target={"a": 290_008})
