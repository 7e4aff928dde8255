"""Free memory is that of the narrowest limit: the machine's or a control group's."""

import pytest

from toolkit.io.memory import available_memory

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
