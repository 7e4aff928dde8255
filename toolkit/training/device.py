"""Device, threads, precision and determinism; and a forward pass over a whole set."""

import contextlib
import errno
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import deterministic

from toolkit.errors import InputError

MEMORY: Any = deterministic  # mypy does not see its one setting


def resolve_device(choice: str) -> torch.device:
    """Where to compute: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises InputError if "cuda" is asked for and there is none.
    """
    if choice == "cuda" and not torch.cuda.is_available():
        raise InputError("train.device is cuda, but torch finds no CUDA GPU; set it to auto or cpu")
    if choice == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # which torchrun sets


def resolve_precision(choice: str, where: torch.device) -> torch.dtype:
    """float32 or bfloat16; "auto" takes bfloat16 where the hardware multiplies matrices of it.

    On a CPU that means AMX or AVX-512 BF16, which halve the time of a convolution. What it does to
    losses and G-mean is in benchmarks/README.md.
    """
    fast = _cuda_bf16() if where.type == "cuda" else _cpu_bf16()
    if choice == "bfloat16" or (choice == "auto" and fast):
        return torch.bfloat16
    return torch.float32


def _cuda_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _cpu_bf16() -> bool:
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed: torch's errors for that are no MemoryError.

    oneDNN, which computes the convolutions on a CPU, says only what it could not do for want of it.
    """
    texts = ("can't allocate memory", "not enough memory", os.strerror(errno.ENOMEM))
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or str(error) in {"could not create a primitive", "could not execute a primitive"}
        or any(text in str(error) for text in texts)
    )


def derive_seed(*numbers: int) -> int:
    """One seed out of several numbers, such as a run's seed and the epoch."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@contextlib.contextmanager
def reproducible(threads: int, where: torch.device) -> Iterator[None]:
    """Deterministic kernels and `threads` CPU threads for the block.

    torch's settings and random states are put back at the end, so a caller sees no change. On CUDA
    an operation without a deterministic kernel (GoogLeNet's adaptive pooling is one, though it is
    exact where the sizes divide) runs nevertheless.
    """
    threads_before, filled = torch.get_num_threads(), MEMORY.fill_uninitialized_memory
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, at start
    on_gpu = where.type == "cuda"
    devices = [torch.cuda.current_device()] if on_gpu else []
    try:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True, warn_only=on_gpu)
        MEMORY.fill_uninitialized_memory = False  # costs a tenth of the time; nothing reads it
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have a deterministic implementation")
            yield
    finally:
        MEMORY.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
        torch.set_num_threads(threads_before)


def autocast(where: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Mixed precision for the block if `dtype` is bfloat16."""
    return torch.autocast(where.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16)


def logits(
    network: nn.Module, images: Tensor, batch: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The main head's output for uint8 images [N, 3, H, W]: float32 [N, classes] on their device.

    Leaves the network in evaluation mode.
    """
    return outputs(network, torch.split(images, batch), dtype)


@torch.inference_mode()
def outputs(network: nn.Module, batches: Iterable[Tensor], dtype: torch.dtype) -> Tensor:
    """The same for the images of all batches."""
    network.eval()
    found = []
    for images in batches:
        with autocast(images.device, dtype):
            found.append(network(normalize(images)).float())
    return torch.cat(found)


def normalize(images: Tensor) -> Tensor:
    """Grey levels 0..255 as uint8 -> float32 in [-1, 1], in the same shape and memory layout."""
    return images.float().div_(127.5).sub_(1)
