"""Images read from their files as they are needed: the same batches, the same weights."""

import pytest
import torch

from tests.helpers.arms import arm, load, settings
from toolkit.errors import InputError
from toolkit.training import dataset, loop, streaming
from toolkit.training.state import training_job

CPU = torch.device("cpu")
BATCHES = [torch.tensor(rows) for rows in ([8, 0, 3], [1], [2, 4, 5, 6], [7], [0, 1])]


@pytest.fixture
def folder(tmp_path):
    return arm(tmp_path / "arm", {"a": 6, "b": 3})


def stream(folder, size=32, workers=2):
    return streaming.open_stream(dataset.open_folder(folder), size, workers)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("size", [32, 20])
def test_a_stream_gives_what_memory_gives(folder, workers, size):
    loaded, streamed = load(folder, size), stream(folder, size, workers)
    assert (streamed.classes, streamed.size, streamed.originals) == (("a", "b"), size, 9)
    for ours, theirs in zip(loaded.take(BATCHES), streamed.take(BATCHES), strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
        assert ours[0].stride() == theirs[0].stride()  # channels last


def test_weights_are_those_of_memory_bit_for_bit(folder):
    job = training_job(settings(epochs=1), "r", 0)
    images = dataset.open_folder(folder)
    data = (streaming.open_data(images, 32, how, 2, CPU) for how in ("memory", "files"))
    one, two = (loop.fit(each, each, job) for each in data)
    assert one.history == two.history
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_a_damaged_file_is_named_when_it_is_reached(folder):
    batches = stream(folder).take(BATCHES)
    (folder / "b" / "002.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"b/002\.png: changed since the manifest"):
        next(batches)


def test_a_stream_that_is_left_early_ends_its_threads(folder):
    batches = stream(folder).take(BATCHES)
    next(batches)
    del batches


def test_auto_streams_what_does_not_fit_in_memory(folder, monkeypatch):
    images = dataset.open_folder(folder)
    assert isinstance(streaming.open_data(images, 32, "auto", 1, CPU), dataset.Tensors)
    monkeypatch.setattr(streaming, "MEMORY_FRACTION", 1e-9)
    assert isinstance(streaming.open_data(images, 32, "auto", 1, CPU), streaming.Stream)
