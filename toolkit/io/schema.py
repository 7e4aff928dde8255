"""Sections of params.yaml: their base class, common types of values, and errors in one line."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from toolkit.errors import InputError

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]  # in folder names and keys of DVC
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Integer = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""Neither a text nor true or false is taken for a number."""
PositiveNumber = Annotated[Number, Field(gt=0)]
Seed = Annotated[Integer, Field(ge=0, lt=2**32)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[Integer, Field(ge=0)]
Positive = Annotated[Integer, Field(ge=1)]


def _check_distinct(values: list[T]) -> list[T]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("distinct", "a list in which nothing is repeated")
    return values


Distinct = Annotated[list[T], Field(min_length=1), AfterValidator(_check_distinct)]


class Section(BaseModel):
    """Base class of all sections, which are immutable and have no unknown keys.

    Pydantic builds a section when one is made: a command needs few of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def build(kind: type[S], values: S | Mapping[str, Any] | None, origin: str) -> S:
    """Return a section as it is, or made of some of its keys, with defaults for the rest.

    Raises InputError that begins with `origin`, the name of the argument, and the key.
    """
    if isinstance(values, kind):
        return values
    return _validate(kind, dict(values or {}), f"{origin}." if origin else "")


def override(section: S, options: Mapping[str, Any]) -> S:
    """Return a section with some keys replaced. Raises InputError that names the option."""
    return _validate(type(section), {**section.model_dump(), **options}, "--")


def check(kind: Any, value: object, name: str) -> None:
    """Raise InputError that begins with `name` unless the value is of this type of a section."""
    try:
        TypeAdapter(dict[str, kind]).validate_python({name: value})
    except ValidationError as error:
        raise InputError(describe_errors(error, {name: value})) from error


def _validate(kind: type[S], data: dict[str, Any], prefix: str) -> S:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{prefix}{describe_errors(error, data)}") from error


def locate_error(error: ValidationError, data: Any) -> list[int | str]:
    """Return the keys that lead to the error that lies deepest in `data`."""
    locations = [_keys(problem["loc"], data) for problem in error.errors(include_url=False)]
    return max(locations, key=len)


def describe_errors(error: ValidationError, data: Any) -> str:
    """Return the error that lies deepest in `data` as "<key> must be <rules>, got <value>"."""
    where = locate_error(error, data)
    problems = [e for e in error.errors(include_url=False) if _keys(e["loc"], data) == where]
    # Of a union, only those members count that know the key.
    problems = [e for e in problems if e["type"] != "extra_forbidden"] or problems
    key, first = _dotted(where), problems[0]
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    if first["type"] == "missing":
        return f"{_dotted([*where, first['loc'][-1]])} is missing"
    if first["type"] == "extra_forbidden":
        return f"{key} is not a known key; remove it or correct its spelling"
    if first["type"].startswith("union_tag"):
        return f"{key}.{_describe_tag(first['ctx'])}"
    rules = dict.fromkeys(_rule(problem) for problem in problems)
    return f"{key or 'the file'} must be {' or '.join(rules)}, got {first.get('input')!r}"


def _describe_tag(context: Any) -> str:
    """Describe an error in the key that tells the members of a union apart."""
    name = context["discriminator"].strip("'")
    if "tag" not in context:
        return f"{name} is missing"
    return f"{name} must be one of {context['expected_tags']}, got '{context['tag']}'"


def _dotted(where: list[int | str]) -> str:
    """Return keys as in `arms.mine.policy[2].weight`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return "".join(parts).removeprefix(".")


def _rule(problem: Any) -> str:
    if problem["type"] in ("model_type", "dict_type"):
        return "a mapping"
    if problem["type"] == "string_pattern_mismatch":
        return f"text that matches {problem['ctx']['pattern']}"
    return str(problem["msg"]).removeprefix("Input should be ")


def _keys(location: tuple[int | str, ...], data: Any) -> list[int | str]:
    """Return the keys in a location of pydantic, which has names of types between them."""
    keys: list[int | str] = []
    for part in location:
        if _has(data, part):
            data = data[part]
            keys.append(part)
    return keys


def _has(data: Any, key: int | str) -> bool:
    if isinstance(data, list):
        return isinstance(key, int) and key < len(data)
    return isinstance(data, dict) and key in data


def dotted_keys(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested mappings as one: dotted keys -> values, lists whole."""
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{above}{key}"
        values |= dotted_keys(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return values
