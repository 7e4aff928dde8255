"""A batch that does not fit in memory: the message names one that does, or it is taken in parts.

Measured in a process of its own, whose memory is really limited.
"""

import errno
import importlib
import multiprocessing
import os
import resource
from pathlib import Path

import pytest
import torch

from tests.helpers.arms import arm, load, settings
from toolkit.errors import InputError
from toolkit.training import device, loop, state, steps

WIDE = {"network": "resnet18", "epochs": 1, "batch": 64}
MEMORY = 500 << 20  # bytes: too few for resnet18 and 64 images of 128 px, enough for some of them


def train(folder: Path, memory: int, recipe: dict, answers) -> None:
    torch.backends.mkldnn.set_flags(False)  # where memory is scarce it may crash without a message
    importlib.import_module("torch._dynamo")  # else Adam imports it, with too little memory to
    data = load(folder, 128)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, resource.RLIM_INFINITY))
    try:
        result = loop.fit(data, data, state.training_job(settings(**recipe), "r", 0))
    except InputError as error:
        answers.send(str(error))
    else:
        answers.send(result.parts)


def answer(folder: Path, memory: int = MEMORY, **recipe):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toolkit.training.train", "dvclive.live", "torch._dynamo"])
    ours, answers = context.Pipe(duplex=False)
    child = context.Process(target=train, args=(folder, memory, WIDE | recipe, answers))
    child.start()
    child.join(120)
    code = child.exitcode
    child.kill()  # if it hangs: Python waits for it when it exits
    assert code == 0
    assert ours.poll()
    return ours.recv()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return arm(tmp_path_factory.mktemp("memory") / "arm", {"a": 40, "b": 24}, size=128)


def test_the_message_names_a_batch_that_fits(folder):
    text = answer(folder)
    assert "train.recipes.r.batch 64 does not fit in the memory of this machine (cpu)" in text
    assert "set it to " in text


def test_a_network_that_does_not_fit_at_all_is_refused(folder):
    text = answer(folder, memory=100 << 20, accumulate=True)
    assert "nor does one of 2 (" in text
    assert "train on smaller images" in text


def test_an_error_without_a_message_is_named_by_its_class(folder, monkeypatch):
    def without_message(*_):
        raise MemoryError

    for module in (loop, steps):
        monkeypatch.setattr(module, "initial_state", without_message)
    data = load(folder, 128)
    with pytest.raises(InputError, match=r"nor does one of 2 \(MemoryError\); train on smaller"):
        loop.fit(data, data, state.training_job(settings(epochs=1, batch=64), "r", 0))


@pytest.mark.parametrize(
    "message",
    [
        "could not create a primitive",  # oneDNN
        f"posix_memalign failed:{os.strerror(errno.ENOMEM)} (12)",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_lack_of_memory_is_recognized_by_torchs_message(message):
    assert device.is_out_of_memory(RuntimeError(message))


@pytest.mark.parametrize(
    "message", ["could not create a primitive descriptor for a convolution", "mat1 and mat2 differ"]
)
def test_another_error_is_not_taken_for_lack_of_memory(message):
    assert not device.is_out_of_memory(RuntimeError(message))


def test_a_batch_is_taken_in_parts_where_the_recipe_allows(folder):
    assert answer(folder, accumulate=True) in {2, 4, 8, 16}
