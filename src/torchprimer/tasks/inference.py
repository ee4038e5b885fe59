"""A model's answers to a whole split."""

import torch


@torch.inference_mode()
def predict(model: torch.nn.Module, inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Outputs of shape (N, ...), float32 on the CPU, for inputs of shape (N, ...)."""
    return torch.cat([model(batch.to(device)).float().cpu() for batch in inputs.split(512)])
