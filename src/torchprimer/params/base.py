"""What every part of params.yaml is made of: checked types, and sections that take no unknown keys."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from torchprimer.errors import did_you_mean

SHA256, NAME, DEVICE, ADDRESS = r"^[0-9a-f]{64}$", r"^[A-Za-z][A-Za-z0-9_]*$", r"^[a-z]+(:\d+)?$", r"^https?://"
FILE = r"^[^/\\]*[^/\\.][^/\\]*$"
PATTERNS = {  # what each asks for, in words
    SHA256: "should be a SHA-256: 64 digits of 0-9 and a-f",
    NAME: "should have letters, digits and _ only, a letter first",
    DEVICE: "should be auto, cpu, or a device as PyTorch names it: cuda, cuda:1, mps, xpu, npu",
    ADDRESS: "should be an address: http://... or https://...",
    FILE: "should be the name of a file, without a folder",
}

DatasetTask = Literal["classification", "regression", "sequence_labelling"]
Sha256 = Annotated[str, Field(pattern=SHA256)]
Text = Annotated[str, Field(min_length=1)]
PositiveInt = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=NAME)]
FileName = Annotated[str, Field(pattern=FILE)]
Device = Annotated[str, Field(pattern=DEVICE)]


class StrictModel(BaseModel):
    """A part of params.yaml: no unknown keys, no guessing between types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, given: Any) -> Any:
        unknown = sorted(set(given) - set(cls.model_fields), key=str) if isinstance(given, dict) else []
        loop = cls.model_fields.get("loop")  # one that the model does not have brings keys of its own with it
        if unknown and (loop is None or given.get("loop") in get_args(loop.annotation)):
            allowed = ", ".join(sorted(cls.model_fields))
            raise PydanticCustomError(
                "unknown_key",
                "unknown key; allowed here: {allowed}.{guess}",
                {"key": str(unknown[0]), "allowed": allowed, "guess": did_you_mean(unknown[0], cls.model_fields)},
            )
        return given


def key_error(key: str, given: Any, message: str) -> PydanticCustomError:
    """The complaint of a validator about one key of its section, once the types are right."""
    return PydanticCustomError("key_error", "{message}", {"key": key, "given": given, "message": message})


def value_error(path: str, given: Any, message: str) -> PydanticCustomError:
    """The complaint of a validator of the whole file about the value at `path`."""
    return PydanticCustomError("value_error", "{message}", {"path": path, "given": given, "message": message})


def reference_error(path: str, given: str, what: str, allowed: Any) -> PydanticCustomError:
    """The complaint about a name that no one defined; `what`: the sentence before the list of those that exist."""
    return value_error(path, given, f"{what} {', '.join(allowed)}.{did_you_mean(given, allowed)}")
