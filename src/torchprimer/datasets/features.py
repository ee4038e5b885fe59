"""Features of images, float32 (N, F): the output of the frozen part of a trained model, computed by `extract_features`.

Their export takes images: the frozen part is put in front of the classifier.
"""

from pathlib import Path
from typing import NoReturn

from torchprimer.atomic import Json
from torchprimer.datasets.images import ImageInput
from torchprimer.datasets.meta import FeaturesMeta
from torchprimer.params.datasets import Features


class FeaturesKind(ImageInput[Features, FeaturesMeta]):
    name = "features"
    meta_class = FeaturesMeta

    def split_rows(self, raw: Path, dataset: Features, *, name: str, seed: int, limit: int | None) -> NoReturn:
        raise NotImplementedError("features have the split of their images")

    def prepare(self, raw: Path, dataset: Features, rows: object, folder: Path) -> NoReturn:
        raise NotImplementedError("the stage extract_features computes features")

    def transform(self, meta: FeaturesMeta) -> Json:
        return {"shape": meta.image_shape}


KIND = FeaturesKind()
