"""Images read from their files as they are needed: the same batches, the same weights."""

import pytest
import torch

from tests.helpers.arms import arm, settings
from toolkit.errors import InputError
from toolkit.training import dataset, loop, state, streaming

CPU = torch.device("cpu")
PARTS = [torch.tensor(rows) for rows in ([8, 0, 3], [1], [2, 4, 5, 6], [7], [0, 1])]


@pytest.fixture
def folder(tmp_path):
    return arm(tmp_path / "arm", {"a": 6, "b": 3})


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_gives_what_memory_gives(folder, workers):
    loaded, stream = dataset.load_tensors(folder), streaming.open_folder(folder, workers)
    assert (stream.classes, stream.size, stream.originals) == (("a", "b"), 32, 9)
    taken = zip(loaded.take(PARTS), stream.take(PARTS), strict=True)
    for (images, labels), (streamed, theirs) in taken:
        assert torch.equal(images, streamed)
        assert torch.equal(labels, theirs)
        assert images.stride() == streamed.stride()  # channels last


def test_weights_are_those_of_memory_bit_for_bit(folder):
    job = state.training_job(settings(epochs=1), "r", 0)
    read = (streaming.open_data(folder, how, 2, CPU) for how in ("memory", "files"))
    one, two = (loop.fit(data, data, job) for data in read)
    assert one.history == two.history
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_a_damaged_file_is_named_when_it_is_reached(folder):
    stream = streaming.open_folder(folder, 2)
    (folder / "b" / "002.png").write_bytes(b"x")
    batches = stream.take(PARTS)
    with pytest.raises(InputError, match=r"b/002\.png: changed since the manifest"):
        next(batches)


def test_a_stream_that_is_left_early_ends_its_threads(folder):
    batches = streaming.open_folder(folder, 2).take(PARTS)
    next(batches)
    batches.close()


def test_auto_reads_what_does_not_fit_from_files(folder, monkeypatch):
    assert isinstance(streaming.open_data(folder, "auto", 1, CPU), dataset.Tensors)
    monkeypatch.setattr(streaming, "SHARE", 1e-9)
    assert isinstance(streaming.open_data(folder, "auto", 1, CPU), streaming.Stream)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no images; at least one is needed"):
        streaming.open_folder(arm(tmp_path / "none", {"a": 0}))
