"""Images read from their files as they are needed: the same batches, the same weights."""

import pytest
import torch

from tests.helpers.arms import arm, load, settings
from toolkit.errors import InputError
from toolkit.training import dataset, loop, streaming
from toolkit.training.state import training_job
from toolkit.training.streaming import available_memory

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


# --- free memory: the narrowest limit, the machine's or a control group's ---------------------

MB = 1 << 20


@pytest.fixture
def root(tmp_path):
    """A machine with 800 MB available."""
    write(tmp_path / "proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 819200 kB\n")
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def v2(root, path, limit, used, cache=0):
    folder = root / "sys/fs/cgroup" / path
    write(folder / "memory.max", f"{limit}\n")
    write(folder / "memory.current", f"{used}\n")
    write(folder / "memory.stat", f"anon {used}\ninactive_file {cache}\nactive_file 9\n")


def v1(root, path, limit, used, cache=0):
    folder = root / "sys/fs/cgroup/memory" / path
    write(folder / "memory.limit_in_bytes", f"{limit}\n")
    write(folder / "memory.usage_in_bytes", f"{used}\n")
    write(folder / "memory.stat", f"inactive_file 0\ntotal_inactive_file {cache}\n")


def test_without_groups_it_is_the_machines(root):
    assert available_memory(root) == 800 * MB
    write(root / "proc/self/cgroup", "0::/\n")
    assert available_memory(root) == 800 * MB


def test_a_group_of_version_2_limits_it(root):
    """Its file cache can be dropped."""
    write(root / "proc/self/cgroup", "0::/jobs/one\n")
    v2(root, "jobs/one", 300 * MB, 250 * MB, 100 * MB)
    assert available_memory(root) == 150 * MB


def test_a_group_above_limits_it_too(root):
    write(root / "proc/self/cgroup", "0::/jobs/one\n")
    v2(root, "jobs/one", "max", 250 * MB)
    v2(root, "jobs", 300 * MB, 260 * MB)
    assert available_memory(root) == 40 * MB


def test_a_group_of_version_1_limits_it(root):
    """Its "no limit" is a huge number."""
    write(root / "proc/self/cgroup", "9:cpu:/x\n4:memory:/jobs/one\n0::/\n")
    v1(root, "jobs/one", 9223372036854771712, 10 * MB)
    v1(root, "", 200 * MB, 150 * MB, 25 * MB)
    assert available_memory(root) == 75 * MB


def test_a_containers_group_is_the_mounted_one(root):
    """Its path is the one outside, which is not to be seen inside."""
    write(root / "proc/self/cgroup", "4:memory:/docker/0123\n")
    v1(root, "", 200 * MB, 150 * MB)
    assert available_memory(root) == 50 * MB


def test_a_full_group_has_nothing_left(root):
    write(root / "proc/self/cgroup", "0::/\n")
    v2(root, "", 100 * MB, 101 * MB)
    assert available_memory(root) == 0


def test_this_machine_has_some():
    assert available_memory() > MB
