"""torchvision's datasets and transforms, also where it was built for CUDA and PyTorch was not."""

from torchprimer.models.torchvision import torchvision_models

torchvision_models()  # the import below works only after it

from torchvision import datasets, transforms  # noqa: E402

__all__ = ["datasets", "transforms"]
