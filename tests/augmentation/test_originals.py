"""Where the output's manifest has the originals."""

import os

import pytest

from toolkit.augmentation import originals
from toolkit.errors import InputError
from toolkit.io.manifest import Manifest


def test_images_on_another_drive_of_windows_are_one_message(tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    with pytest.raises(InputError, match="another drive than the images; name an output on"):
        originals.link_originals(Manifest((), ()), tmp_path / "photos", tmp_path / "out")
