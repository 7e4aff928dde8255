"""Device, precision, threads and determinism."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from tests.helpers.arms import settings
from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.training import device
from toolkit.training.state import initial_state, training_job

CPU = torch.device("cpu")


def test_auto_chooses_a_device_that_works():
    assert torch.zeros(1, device=device.resolve_device("auto")).item() == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU here")
def test_cuda_without_a_gpu_is_refused():
    with pytest.raises(InputError, match=r"train\.device is cuda, but torch finds no CUDA GPU"):
        device.resolve_device("cuda")


def test_precision_is_what_was_asked_for():
    assert device.resolve_precision("float32", CPU) is torch.float32
    assert device.resolve_precision("bfloat16", CPU) is torch.bfloat16


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, torch.bfloat16),
        ({"avx512_bf16": True, "cpu_name": "Intel Xeon"}, torch.float32),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_precision_on_a_cpu_depends_on_its_instructions(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert device.resolve_precision("auto", CPU) is expected


def test_seeds_differ_in_every_number():
    seeds = {device.derive_seed(a, b, c) for a in range(3) for b in range(3) for c in range(3)}
    assert len(seeds) == 27


def test_settings_and_random_state_are_restored():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with pytest.raises(KeyError), device.reproducible(1, CPU):  # noqa: PT012
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        torch.rand(3)
        raise KeyError
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_on_a_gpu_is_not_tf32():
    """torch's flags, which can be read without a GPU: convolutions have TF32 by default."""
    flags = device.FLOAT32_BACKENDS
    before = [flag.fp32_precision for flag in flags]
    with device.reproducible(1, CPU):
        assert {flag.fp32_precision for flag in flags} == {"ieee"}
    assert [flag.fp32_precision for flag in flags] == before
    assert before[0] == "tf32"


def test_threads_that_wait_sleep():
    """Before torch is imported, whichever module does; the tests' own process has it already."""
    code = "import os, sys, toolkit; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    for given in ({}, {"OMP_WAIT_POLICY": "active"}):
        environment = {key: v for key, v in os.environ.items() if key != "OMP_WAIT_POLICY"} | given
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )
        assert done.stdout.split() == [given.get("OMP_WAIT_POLICY", "passive"), "False"]


def test_autocast_only_for_bfloat16():
    layer, x = nn.Linear(4, 4), torch.rand(2, 4)
    for dtype in (torch.float32, torch.bfloat16):
        with device.autocast(CPU, dtype):
            assert layer(x).dtype is dtype


def test_gradients_of_bfloat16_do_not_depend_on_what_was_in_memory():
    """oneDNN's do where the stride is larger than the input, as in networks for images of 16 px."""
    layer = nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False)
    device.guard_gradients(layer)
    for _ in range(3):
        blocks = [torch.full((2**k,), torch.nan) for k in range(3, 15) for _ in range(9)]
        del blocks  # what is freed is the next to be used
        with device.autocast(CPU, torch.bfloat16):
            output = layer(torch.ones(4, 16, 1, 1))
        assert output.dtype is torch.bfloat16
        output.sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_networks_are_guarded_before_they_are_trained():
    network = initial_state(training_job(settings(), "r", 0), 2).network
    assert isinstance(network.layer4[0].conv1.forward, partial)


def test_logits_do_not_depend_on_dropout_or_change_with_the_batch():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3))
    images = torch.randint(0, 256, (5, 3, 2, 2), dtype=torch.uint8)
    whole = device.forward_batches(network.train(), [images])
    assert whole.shape == (5, 3)
    assert torch.allclose(device.forward_batches(network, images.split(2)), whole, atol=1e-6)
