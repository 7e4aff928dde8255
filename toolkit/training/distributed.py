"""Several processes train one network together: torchrun's, on one machine or on many.

A batch is dealt out among them, so that together they take the steps that one process would.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Group:
    """The processes that train together, and which of them this one is. Only the first writes."""

    rank: int = 0
    size: int = 1

    def mine(self, rows: Tensor) -> Tensor:
        """The rows of a batch or a set that this process takes: every row is of one process."""
        return rows[self.rank :: self.size]

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def agree(self, answer: bool) -> bool:
        """What the first process says."""
        return self.same(bytes([answer])) == b"\1"

    def same(self, data: bytes | None) -> bytes | None:
        """The first process's bytes; the other processes' are not looked at."""
        if self.size == 1:
            return data
        length = torch.tensor(-1 if data is None else len(data))
        distributed.broadcast(length, 0)
        if length < 0:
            return None
        found = torch.zeros(int(length), dtype=torch.uint8)
        if data and not self.rank:
            found = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        distributed.broadcast(found, 0)
        return found.numpy().tobytes()

    def prepared(self, network: nn.Module) -> nn.Module:
        """The network, which is changed in place, as what to call in training."""
        if self.size == 1:
            return network
        on_gpu = next(network.parameters()).is_cuda
        if on_gpu:
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        else:
            _convert(network)
        return DistributedDataParallel(network)


@contextlib.contextmanager
def group(where: torch.device) -> Iterator[Group]:
    """The processes that torchrun started, connected in the block; else this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    if where.type == "cuda":
        torch.cuda.set_device(where)
        distributed.init_process_group("cpu:gloo,cuda:nccl", device_id=where)
    else:
        distributed.init_process_group("gloo")
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def is_writer() -> bool:
    """Whether this process is the one that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


class SyncNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes, as torch's own for GPUs, for CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, C, H, W], normalised."""
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = wide.new_tensor([wide.numel() / wide.shape[1]])
        sums = _sum(torch.cat([wide.sum((0, 2, 3)), count]))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centred = wide - mean[:, None, None]
        variance = _sum(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        y: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        for average, value in ((self.running_mean, mean), (self.running_var, variance)):
            if average is not None and self.momentum is not None:
                average.lerp_(value, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """The sum over all processes; gradients are summed in the same way."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total


def _convert(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            norm = SyncNorm(child.num_features, child.eps, child.momentum)
            norm.load_state_dict(child.state_dict())
            module.add_module(name, norm)
        else:
            _convert(child)
