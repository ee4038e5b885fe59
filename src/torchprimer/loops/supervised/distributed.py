"""Data-parallel training: several processes train one model (PyTorch Distributed: Li et al. 2020).

torchrun starts one process for each GPU (on CPUs: for some of the cores). All processes hold the same weights and
iterate over the same batches. Each computes the gradient of its shard of a batch, and the gradients are summed before
every step. So the steps equal those of one process, except for batch norm and dropout, which work on a shard.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from torchprimer.training.launch import STORE_ENV, rank, world_size


class DataParallelGroup:
    """The processes that train `model`; with a single process no method has an effect.

    Args:
        max_shards: into how many shards the smallest batch can be split. With more processes than that, each process
            computes whole batches by itself.
        sum_reduction: whether the loss of a batch is the sum, not the mean, over its samples.

    Attributes:
        net: the module to call in place of the model when gradients are needed.
        world_size: number of processes that share each batch; 1 with more processes than `max_shards`.
        rank: of this process among them, from 0.
        is_main: whether this process writes files.
    """

    def __init__(self, model: nn.Module, device: torch.device, *, max_shards: int, sum_reduction: bool) -> None:
        self.net, self.is_main = model, rank() == 0
        self.world_size, self.rank = (world_size(), rank()) if max_shards >= world_size() else (1, 0)
        self._device, self._sum_reduction, self._weight = device, sum_reduction, 1.0
        self._seed = torch.initial_seed()
        if self.world_size > 1:
            if device.type == "cpu":
                os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            if not dist.is_initialized():
                file = os.environ.get(STORE_ENV)  # None if the user called torchrun, which sets MASTER_ADDR
                method, backend = f"file://{file}" if file else None, dist.get_default_backend_for_device(device)
                dist.init_process_group(backend, init_method=method, rank=rank(), world_size=world_size())
            ids = None if device.type == "cpu" else [device]
            net = DistributedDataParallel(model, device_ids=ids, forward_sync_buffers=False)
            net.register_comm_hook(None, lambda _state, bucket: self._sum_gradients(bucket))
            self.net = net

    def seed_epoch(self, epoch: int) -> None:
        """Seeds this process by its rank for an epoch, so that augmentation and dropout differ between shards.

        Rank 0 keeps its random state, which the checkpoint has; the seeds of the others follow from the epoch.
        """
        if self.rank:
            torch.manual_seed(self._seed + self.rank + self.world_size * epoch)

    def broadcast(self, *tensors: torch.Tensor) -> None:
        """Copies the tensors of rank 0 to all processes, in place: the order of samples, batch norm's statistics."""
        if self.world_size > 1:
            for tensor in tensors:
                on_device = tensor.to(self._device)
                dist.broadcast(on_device, 0)
                tensor.copy_(on_device)

    def shard(self, batch: torch.Tensor) -> torch.Tensor:
        """The samples of a batch that this process computes."""
        if self.world_size == 1:
            return batch
        shard = batch[self.rank :: self.world_size]
        self._weight = 1.0 if self._sum_reduction else len(shard) / len(batch)
        return shard

    def all_reduce_sum(self, *tensors: torch.Tensor) -> None:
        """Sums tensors on the device of each process over all processes, in place."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def _sum_gradients(self, bucket: Any) -> Any:
        """Replaces DDP's mean of the gradients, which is wrong for shards of different sizes and for sums."""
        work = dist.all_reduce(bucket.buffer().mul_(self._weight), async_op=True)
        return work.get_future().then(lambda future: future.value()[0])
