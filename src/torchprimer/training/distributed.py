"""Several processes train one model together: data-parallel training (PyTorch Distributed: Li et al. 2020).

`torchrun` starts them, one for each GPU (on CPUs: one for some of the cores). All hold the same weights and go through
the same batches; each computes the gradient of its share of a batch, and these are added up before every step. So the
steps are those of one process, but for batch norm and dropout, which know only their share.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from torchprimer.errors import UserError
from torchprimer.training.launch import count, rank


def local_device(device: torch.device) -> torch.device:
    """Of several accelerators the one that is for this process.

    Raises:
        UserError: there are fewer accelerators than processes.
    """
    if count() == 1 or device.type == "cpu":
        return device
    here, wanted = torch.accelerator.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
    if wanted > here:
        raise UserError(f"{wanted} processes want a {device.type} device each, and this machine has {here}")
    return torch.device(device.type, int(os.environ["LOCAL_RANK"]))


class DataParallelGroup:
    """The processes that train `model`, as seen by one of them; alone, it does nothing.

    Attributes:
        net: what to call in place of the model when its gradient will be wanted.
        count: how many there are.
        rank: the number of this one, from 0.
        first: whether this is the one that writes.
    """

    def __init__(self, model: nn.Module, device: torch.device, *, shares: int, summed: bool) -> None:
        """Waits for all processes.

        Args:
            shares: into how many the smallest batch can be cut; fewer than processes, and each does all by itself.
            summed: whether the loss of a batch is a sum, not a mean, over its samples.
        """
        self.net, self.first = model, rank() == 0
        self.count, self.rank = (count(), rank()) if shares >= count() else (1, 0)
        self._device, self._summed, self._weight = device, summed, 1.0
        if self.count > 1:
            if device.type == "cpu":
                os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            if not dist.is_initialized():
                dist.init_process_group(dist.get_default_backend_for_device(device))
            ids = None if device.type == "cpu" else [device]
            net = DistributedDataParallel(model, device_ids=ids, forward_sync_buffers=False)
            net.register_comm_hook(None, lambda _state, bucket: self._add(bucket))
            self.net = net

    def agree(self, *tensors: torch.Tensor) -> None:
        """Gives all processes, in place, what the first one has: the order of the samples, batch norm's statistics."""
        if self.count > 1:
            for tensor in tensors:
                there = tensor.to(self._device)
                dist.broadcast(there, 0)
                tensor.copy_(there)

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """The part of a batch that is for this process."""
        if self.count == 1:
            return batch
        mine = batch[self.rank :: self.count]
        self._weight = 1.0 if self._summed else len(mine) / len(batch)
        return mine

    def total(self, *numbers: torch.Tensor) -> None:
        """Adds up, in place, what each process has counted."""
        if self.count > 1:
            for number in numbers:
                dist.all_reduce(number)

    def _add(self, bucket: Any) -> Any:
        """DDP would take the mean of the gradients: wrong where shares differ in size, and for sums."""
        added = dist.all_reduce(bucket.buffer().mul_(self._weight), async_op=True).get_future()
        return added.then(lambda done: done.value()[0])
