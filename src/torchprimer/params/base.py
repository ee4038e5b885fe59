"""Base of the schema: checked types, sections that reject unknown keys, and the errors of validators."""

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from torchprimer.errors import did_you_mean

SHA256, NAME, DEVICE, URL = r"^[0-9a-f]{64}$", r"^[A-Za-z][A-Za-z0-9_]*$", r"^[a-z]+(:\d+)?$", r"^https?://"
FILE = r"^[^/\\]*[^/\\.][^/\\]*$"
PATTERNS = {  # what each requires, in words
    SHA256: "should be a SHA-256: 64 digits of 0-9 and a-f",
    NAME: "should have letters, digits and _ only, a letter first",
    DEVICE: "should be auto, cpu, or a device as PyTorch names it: cuda, cuda:1, mps, xpu, npu",
    URL: "should be a URL: http://... or https://...",
    FILE: "should be the name of a file, without a folder",
}
MAX_INT = 10**12  # larger counts are typing mistakes, and some libraries hang or overflow on them

DatasetTask = Literal["classification", "regression", "sequence_labelling"]
Sha256 = Annotated[str, Field(pattern=SHA256)]
Text = Annotated[str, Field(min_length=1)]
PositiveInt = Annotated[int, Field(ge=1, le=MAX_INT)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=NAME)]
FileName = Annotated[str, Field(pattern=FILE)]
Device = Annotated[str, Field(pattern=DEVICE)]


class StrictModel(BaseModel):
    """A part of params.yaml: unknown keys are errors, types are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    elsewhere: ClassVar[tuple[str, ...]] = ()  # fields that another file has

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, content: Any) -> Any:
        known = cls.model_fields.keys() - cls.elsewhere
        unknown = sorted(set(content) - set(cls.model_fields), key=str) if isinstance(content, dict) else []
        loop = cls.model_fields.get("loop")  # with a loop that the model does not have, other keys are wrong, too
        if unknown and (loop is None or content.get("loop") in get_args(loop.annotation)):
            allowed = ", ".join(sorted(known))
            raise PydanticCustomError(
                "unknown_key",
                "unknown key; allowed here: {allowed}.{guess}",
                {"key": str(unknown[0]), "allowed": allowed, "guess": did_you_mean(unknown[0], sorted(known))},
            )
        return content

    def key_error(self, key: str, message: str, value: Any = ...) -> PydanticCustomError:
        """The error of a validator about a key, once the types are right; `value`, if it is not that of the key."""
        value = getattr(self, key) if value is ... else value
        return PydanticCustomError("key_error", "{message}", {"key": key, "value": value, "message": message})
