"""Data-parallel training: several processes, started by torchrun, train one network together.

Each batch is divided among the processes, so together they take the steps that one would take.
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
    """The processes that train together: how many, and which of them this one is (its rank).

    Only the process of rank 0 writes files and prints.
    """

    rank: int = 0
    size: int = 1

    def local(self, rows: Tensor) -> Tensor:
        """Return this process's part of the rows; the parts are disjoint and cover all rows."""
        return rows[self.rank :: self.size]

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def agree(self, answer: bool) -> bool:
        """Return rank 0's answer in every process."""
        return self.broadcast(bytes([answer])) == b"\1"

    def broadcast(self, data: bytes | None) -> bytes | None:
        """Return rank 0's bytes in every process; what the others pass is ignored."""
        if self.size == 1:
            return data
        length = torch.tensor(-1 if data is None else len(data))
        distributed.broadcast(length, 0)
        if length < 0:
            return None
        buffer = torch.zeros(int(length), dtype=torch.uint8)
        if data and not self.rank:
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        distributed.broadcast(buffer, 0)
        return buffer.numpy().tobytes()

    def wrap(self, network: nn.Module) -> nn.Module:
        """Synchronize batch norm (in place) and gradients; return the module to call in training.

        For a single process that is the network itself, unchanged.
        """
        if self.size == 1:
            return network
        if next(network.parameters()).is_cuda:
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        else:
            _synchronize_norms(network)
        return DistributedDataParallel(network)


ALONE = Group()


@contextlib.contextmanager
def group(device: torch.device) -> Iterator[Group]:
    """Connect the processes that torchrun started for the block; without torchrun, this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
        distributed.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
    else:
        distributed.init_process_group("gloo")
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def is_writer() -> bool:
    """Return whether this process is the one that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


class SyncNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes on CPUs, where torch offers it for GPUs only."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize features [N, C, H, W]."""
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = wide.new_tensor([wide.numel() / wide.shape[1]])
        sums = _all_reduce(torch.cat([wide.sum((0, 2, 3)), count]))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centered = wide - mean[:, None, None]
        variance = _all_reduce(centered.square().sum((0, 2, 3))) / count
        self._update_averages(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        y: Tensor = centered * scale[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)

    @torch.no_grad()
    def _update_averages(self, mean: Tensor, variance: Tensor) -> None:
        for average, value in ((self.running_mean, mean), (self.running_var, variance)):
            if average is not None and self.momentum is not None:
                average.lerp_(value, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


class _AllReduce(torch.autograd.Function):
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


def _all_reduce(values: Tensor) -> Tensor:
    total: Tensor = _AllReduce.apply(values)
    return total


def _synchronize_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            norm = SyncNorm(child.num_features, child.eps, child.momentum)
            norm.load_state_dict(child.state_dict())
            module.add_module(name, norm)
        else:
            _synchronize_norms(child)
