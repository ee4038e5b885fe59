"""`experiments:` of params.yaml: models and their training."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, model_validator

from torchprimer.params.base import Fraction, Name, NonNegative, Number, Positive, PositiveInt, StrictModel, Text

Decay = Annotated[float, Field(gt=0, le=1)]
TaskName = Literal["classification", "regression", "sequence_labelling", "reconstruction", "generation"]
LOSSES = {  # of torch.nn.functional, for each task of the supervised loop
    "classification": ["cross_entropy", "multi_margin_loss", "binary_cross_entropy_with_logits"],
    "regression": ["mse_loss", "l1_loss"],
    "sequence_labelling": ["cross_entropy", "multi_margin_loss"],  # of several characters, one is right
    "reconstruction": ["mse_loss", "l1_loss"],
}


class StepLR(StrictModel):
    name: Literal["StepLR"]
    step_size: PositiveInt
    gamma: Decay


class MultiStepLR(StrictModel):
    name: Literal["MultiStepLR"]
    milestones: Annotated[list[PositiveInt], Field(min_length=1)]
    gamma: Decay


class ExponentialLR(StrictModel):
    name: Literal["ExponentialLR"]
    gamma: Decay


class ReduceLROnPlateau(StrictModel):
    name: Literal["ReduceLROnPlateau"]
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]


class OneCycleLR(StrictModel):
    name: Literal["OneCycleLR"]  # warms up to `lr` over the first 30 % of all steps, then anneals to almost nothing


class CosineAnnealingLR(StrictModel):
    name: Literal["CosineAnnealingLR"]  # from `lr` to 0 over all epochs


Scheduler = Annotated[
    StepLR | MultiStepLR | ExponentialLR | ReduceLROnPlateau | OneCycleLR | CosineAnnealingLR, Discriminator("name")
]

# ---- what training loops share -------------------------------------------------------------------------------------


class Augment(StrictModel):
    """Random changes of training images, drawn anew for each image in each epoch."""

    horizontal_flip: bool  # mirror left and right, every other image
    max_translate: Annotated[int, Field(ge=0, le=64)]  # move by up to this many pixels, black where nothing was


class BaseExperiment(StrictModel):
    """What every experiment has."""

    dataset: Name
    task: TaskName
    init_from: Text
    scorer: Name

    kinds: ClassVar[tuple[str, ...]] = ("images", "tabular", "features")  # of data that the model takes
    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")  # that the model can be trained for
    has_features: ClassVar[bool] = False  # whether extract_features can take its frozen layers
    generates: ClassVar[bool] = False  # whether it generates images, which a scorer classifies
    distributed: ClassVar[bool] = False  # whether the loop can run in several processes


class Supervised(BaseExperiment):
    """What every experiment trained by the supervised loop has."""

    distributed: ClassVar[bool] = True

    loop: Literal["supervised"]
    loss: Literal[
        "cross_entropy", "nll_loss", "multi_margin_loss", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss"
    ]
    reduction: Literal["mean", "sum"] = "mean"
    optimizer: Literal["SGD", "Adam", "AdamW", "RMSprop"]
    lr: Positive
    momentum: Fraction | None = None  # SGD and RMSprop
    weight_decay: NonNegative = 0.0
    scheduler: Scheduler | None = None
    batch_size: PositiveInt | None  # None: all samples at once
    samples_per_epoch: PositiveInt | None = None  # None: all; a number: so many, drawn anew for each epoch
    epochs: PositiveInt
    early_stopping: PositiveInt | None = None  # stop after so many epochs without a better validation score
    augment: Augment | None = None
    initialization: Literal["default", "xavier", "kaiming", "normal", "ones"] = "default"
    freeze: list[Text] = []  # noqa: RUF012 (pydantic copies it)

    special_losses: ClassVar[tuple[str, ...]] = ()  # that fit this model alone

    def losses(self) -> list[str]:
        """Those that fit the model and its task."""
        return [*LOSSES[self.task], *self.special_losses]

    @model_validator(mode="after")
    def _check_options(self) -> "Supervised":
        if self.momentum is not None and self.optimizer not in ("SGD", "RMSprop"):
            message = f"{self.optimizer} takes no momentum (SGD and RMSprop do): set it to null"
            raise self.key_error("momentum", message)
        if self.batch_size == 1 and getattr(self, "batch_norm", False):
            raise self.key_error("batch_size", "batch norm needs batches of 2 samples or more")
        return self


# ---- models, each with its loops: `models/<model>.py`, `loops/<loop>` ------------------------------------------------


class GridRange(StrictModel):
    """Evenly spaced numbers, both ends among them."""

    start: Number
    stop: Number
    step: Positive

    most: ClassVar[int] = 100_000  # numbers, or combinations of them, that anybody would try

    @property
    def size(self) -> int:
        """How many numbers these are; of far too many, `most` + 1."""
        return int(min((self.stop - self.start) / self.step, self.most) + 1 + 1e-6)

    def values(self) -> list[float]:
        """start, start + step, ..., stop, as decimal numbers: 2.0 and 0.3 are exactly that."""
        start, step = (Decimal(str(number)) for number in (self.start, self.step))
        return [float(start + step * i) for i in range(int((Decimal(str(self.stop)) - start) / step) + 1)]

    @model_validator(mode="after")
    def _ends_fit(self) -> "GridRange":
        if self.stop < self.start:
            raise self.key_error("stop", f"should not be below start: {self.start:g}")
        if self.size > self.most:
            raise self.key_error("step", f"gives more than {self.most:,} numbers: take a larger one")
        start, stop, step = (Decimal(str(number)) for number in (self.start, self.stop, self.step))
        if (stop - start) % step:
            nearest = start + (stop - start) // step * step
            raise self.key_error("stop", f"is not a whole number of steps from start; {nearest.normalize():f} is")
        return self


class LinearSupervised(Supervised):
    model: Literal["linear"]
    bias: bool


class LinearGridSearch(BaseExperiment):
    model: Literal["linear"]
    loop: Literal["grid_search"]
    weight: GridRange
    bias: GridRange | None  # None: a line through the origin

    kinds: ClassVar[tuple[str, ...]] = ("tabular",)
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    loss: ClassVar[str] = "mse_loss"
    reduction: ClassVar[str] = "mean"

    @model_validator(mode="after")
    def _can_be_tried(self) -> "LinearGridSearch":
        if self.bias and (pairs := self.weight.size * self.bias.size) > GridRange.most:
            message = f"makes {pairs:,} pairs with weight, at most {GridRange.most:,}: larger steps"
            raise self.key_error("bias", message, self.bias.model_dump())
        return self


class LinearGradientDescent(BaseExperiment):
    model: Literal["linear"]
    loop: Literal["gradient_descent"]
    bias: bool
    initialization: Literal["default", "xavier", "kaiming", "normal", "ones"]
    lr: Positive
    batch_size: PositiveInt | None
    epochs: PositiveInt

    kinds: ClassVar[tuple[str, ...]] = ("tabular",)
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    loss: ClassVar[str] = "mse_loss"
    reduction: ClassVar[str] = "mean"


class MLP(Supervised):
    model: Literal["mlp"]
    hidden: list[PositiveInt]
    activation: Literal["relu", "sigmoid", "tanh", "none"]
    batch_norm: bool = False
    dropout: Fraction = 0.0


class CNN(Supervised):
    model: Literal["cnn"]
    input_padding: Annotated[int, Field(ge=0, le=64)] = 0
    channels: Annotated[list[PositiveInt], Field(min_length=1)]
    kernel_size: Annotated[int, Field(ge=1, le=31)]
    padding: Annotated[int, Field(ge=0, le=15)]
    hidden: list[PositiveInt]
    batch_norm: bool = False
    dropout: Fraction = 0.0

    kinds: ClassVar[tuple[str, ...]] = ("images",)


class BagOfWords(Supervised):
    model: Literal["bag_of_words"]
    hidden: list[PositiveInt]
    dropout: Fraction = 0.0

    kinds: ClassVar[tuple[str, ...]] = ("text",)
    special_losses: ClassVar[tuple[str, ...]] = ("nll_loss",)  # of log-probabilities, which no other model gives


class RNN(Supervised):
    model: Literal["rnn"]
    reduction: Literal["mean"] = "mean"  # over all characters
    cell: Literal["RNNCell", "RNN"]
    embedding: PositiveInt | None
    hidden_size: PositiveInt
    output_layer: bool

    kinds: ClassVar[tuple[str, ...]] = ("sequences",)
    tasks: ClassVar[tuple[str, ...]] = ("sequence_labelling",)


class Torchvision(Supervised):
    model: Literal["torchvision"]
    architecture: Name
    min_input_size: Annotated[int, Field(ge=16, le=1024)] | None = None
    hidden: list[PositiveInt] | None
    dropout: Fraction = 0.0

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    has_features: ClassVar[bool] = True

    @model_validator(mode="after")
    def _dropout_is_used(self) -> "Torchvision":
        if self.dropout and not self.hidden:
            raise self.key_error("dropout", "comes behind each layer of hidden, and there is none; set it to 0.0")
        return self


class EfficientNetLite(Supervised):
    model: Literal["efficientnet_lite"]
    upscale: Annotated[int, Field(ge=1, le=32)] = 1
    dropout: Fraction = 0.0

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    has_features: ClassVar[bool] = True


class Autoencoder(Supervised):
    model: Literal["autoencoder"]
    reduction: Literal["mean"] = "mean"  # over all pixels
    hidden: Annotated[list[PositiveInt], Field(min_length=1)]  # widths down to the code, the last one

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    tasks: ClassVar[tuple[str, ...]] = ("reconstruction",)


class GAN(BaseExperiment):
    model: Literal["gan"]
    loop: Literal["adversarial"]
    architecture: Literal["dense", "convolutional"]
    latent_dim: PositiveInt  # how many numbers an image is made of
    generator: Annotated[list[PositiveInt], Field(min_length=1)]  # hidden widths; or channels, each doubling
    discriminator: Annotated[list[PositiveInt], Field(min_length=1)]  # the same, and each halves it
    loss: Literal["binary_cross_entropy_with_logits", "mse_loss"]  # Goodfellow et al. 2014, Mao et al. 2017
    lr: Positive  # of both networks
    beta1: Fraction  # Adam's; 0.9 would be its default, and a game's gradients turn too quickly for that
    batch_size: Annotated[int, Field(ge=2)]  # batch norm needs two samples
    epochs: PositiveInt

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    tasks: ClassVar[tuple[str, ...]] = ("generation",)
    generates: ClassVar[bool] = True
    reduction: ClassVar[str] = "mean"


Linear = Annotated[LinearSupervised | LinearGridSearch | LinearGradientDescent, Discriminator("loop")]
Other = MLP | CNN | BagOfWords | RNN | Torchvision | EfficientNetLite | Autoencoder | GAN
Experiment = LinearSupervised | LinearGridSearch | LinearGradientDescent | Other
AnyExperiment = Annotated[Linear | Other, Discriminator("model")]
HasLoss = Supervised | LinearGridSearch | LinearGradientDescent | GAN  # an experiment, as far as its loss is concerned
