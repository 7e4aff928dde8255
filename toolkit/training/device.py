"""Device, threads, precision, determinism, and forward passes over many batches."""

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import deterministic

from toolkit.errors import InputError

DETERMINISTIC: Any = deterministic
"""torch.utils.deterministic, whose only setting mypy does not see."""

BACKENDS: Any = torch.backends
FLOAT32_BACKENDS = (BACKENDS.cudnn.conv, BACKENDS.cuda.matmul)
"""What multiplies float32 on GPUs: by default convolutions do it in TF32, with a short mantissa."""

COMPILER = "torch._dynamo.utils"
"""A module of torch's compiler, whose import takes more than a second of CPU."""
SAMPLING = (Tensor.normal_, Tensor.uniform_)

CPU = torch.device("cpu")

MEAN = DEVIATION = 0.5
"""What `normalize` subtracts from pixels 0..1, and divides by, in each channel."""

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", os.strerror(errno.ENOMEM))
ONEDNN_OUT_OF_MEMORY = ("could not create a primitive", "could not execute a primitive")
"""oneDNN, which computes convolutions on CPUs, only says what it could not do for lack of memory;
longer messages that begin like these have other causes."""


@contextlib.contextmanager
def without_compiler() -> Iterator[None]:
    """Import torchvision in the block without torch's compiler, which nothing here uses.

    torchvision.ops imports one function of it, which says whether a device can compile the pooling
    of regions; meanwhile it says that none can.
    """
    stand_in: Any = ModuleType(COMPILER)
    stand_in.is_compile_supported = lambda _: False
    if COMPILER in sys.modules:
        stand_in = None
    else:
        sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        if stand_in:
            del sys.modules[COMPILER]


class Uninitialized(TorchFunctionMode):
    """Sample no initial weights: they are replaced at once, and torch would need its compiler."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Return the tensor as it is where it would be sampled, else what the function returns."""
        if function in SAMPLING:
            return args[0]
        return function(*args, **kwargs or {})


def resolve_device(choice: str) -> torch.device:
    """Return the device for "cpu", "cuda" or "auto", which is CUDA where there is a GPU.

    Raises InputError for "cuda" where there is none.
    """
    if choice == "cuda" and not torch.cuda.is_available():
        raise InputError("train.device is cuda, but torch finds no CUDA GPU; set it to auto or cpu")
    if choice == "cpu" or not torch.cuda.is_available():
        return CPU
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # set by torchrun


def resolve_precision(choice: str, device: torch.device) -> torch.dtype:
    """Return float32 or bfloat16; "auto" is bfloat16 where the hardware multiplies such matrices.

    On a CPU that means AMX, or AVX-512 BF16 but on Intel's, where it takes as long as float32 and
    the conversions come on top: they halve the time of a convolution. For the effect
    on losses and G-mean see benchmarks/README.md.
    """
    supported = _cuda_bf16() if device.type == "cuda" else _cpu_bf16()
    if choice == "bfloat16" or (choice == "auto" and supported):
        return torch.bfloat16
    return torch.float32


def _cuda_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _cpu_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    intel = str(capabilities.get("cpu_name", "")).startswith("Intel")
    return bool(capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and not intel))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an allocation failed: torch raises RuntimeError for it, not MemoryError."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or str(error) in ONEDNN_OUT_OF_MEMORY
        or any(text in str(error) for text in OUT_OF_MEMORY)
    )


def derive_seed(*numbers: int) -> int:
    """Derive one seed from several numbers, such as a run's seed and the epoch."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@contextlib.contextmanager
def reproducible(threads: int, device: torch.device) -> Iterator[None]:
    """Use deterministic kernels and `threads` CPU threads in the block; float32 is not TF32.

    torch's settings and random states are restored at the end. On CUDA an operation without a
    deterministic kernel runs nevertheless (GoogLeNet's adaptive pooling is one, though it is exact
    where the sizes divide).
    """
    threads_before, filled = torch.get_num_threads(), DETERMINISTIC.fill_uninitialized_memory
    mode = torch.get_deterministic_debug_mode()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, at start
    precisions = [backend.fp32_precision for backend in FLOAT32_BACKENDS]
    on_gpu = device.type == "cuda"
    devices = [torch.cuda.current_device()] if on_gpu else []
    try:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode("warn" if on_gpu else "error")
        _set_float32(["ieee" for _ in FLOAT32_BACKENDS])
        DETERMINISTIC.fill_uninitialized_memory = False  # takes a tenth of the time, never read
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have a deterministic implementation")
            yield
    finally:
        _set_float32(precisions)
        DETERMINISTIC.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(mode)
        torch.set_num_threads(threads_before)


def _set_float32(precisions: list[str]) -> None:
    for backend, precision in zip(FLOAT32_BACKENDS, precisions, strict=True):
        backend.fp32_precision = precision


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context of mixed precision if `dtype` is bfloat16, else one without effect."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16)


def guard_gradients(network: nn.Module) -> None:
    """Make convolutions whose stride is larger than their input compute in float32 on CPUs.

    In bfloat16 oneDNN reads memory there that nobody wrote: some weights' gradients were 1e9, other
    ones in each run. A network of stride 32 has such layers for images of 16 pixels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1:
            module.forward = partial(_convolve, module, module.forward)  # type: ignore[method-assign]


def _convolve(layer: nn.Conv2d, forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    small = any(side < step for side, step in zip(images.shape[-2:], layer.stride, strict=True))
    if not (small and images.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
        return forward(images)
    with torch.autocast("cpu", enabled=False):
        return forward(images.float()).to(torch.bfloat16)


def normalize(images: Tensor) -> Tensor:
    """Map uint8 values 0..255 to float32 in [-1, 1], in the same shape and memory layout.

    That is (value / 255 - MEAN) / DEVIATION.
    """
    return images.float().div_(127.5).sub_(1)


@torch.inference_mode()
def forward_batches(
    network: nn.Module, batches: Iterable[Tensor], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return the main head's logits, float32 [N, classes], for batches of uint8 [n, 3, H, W].

    The logits stay on the batches' device. Leaves the network in evaluation mode.
    """
    network.eval()
    logits = []
    for images in batches:
        with autocast(images.device, dtype):
            logits.append(network(normalize(images)).float())
    return torch.cat(logits)
