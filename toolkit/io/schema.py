"""The base of every section of params.yaml, and what pydantic finds wrong in one line."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]  # part of folder names and DVC keys
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def locate_error(error: ValidationError, data: Any) -> list[int | str]:
    """The keys that lead to what is wrong, as deep as they are in `data`."""
    found = [_location(e["loc"], data) for e in error.errors(include_url=False)]
    return max(found, key=len)


def describe_errors(error: ValidationError, data: Any) -> str:
    """What is wrong at the key that lies deepest, as: key, rules, what was found."""
    where = locate_error(error, data)
    places = [(_location(e["loc"], data), e) for e in error.errors(include_url=False)]
    problems = [e for loc, e in places if loc == where]
    known = [e for e in problems if e["type"] != "extra_forbidden"]
    problems = known or problems  # of a union, the member that knows the key speaks
    key = _dotted(where)
    first = problems[0]
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    if first["type"] == "missing":
        return f"{_dotted([*where, first['loc'][-1]])} is missing"
    if first["type"] == "extra_forbidden":
        return f"{key} is not a known key; remove it or correct its spelling"
    if first["type"].startswith("union_tag"):
        return f"{key}.{_tag(first['ctx'])}"
    rules = dict.fromkeys(_rule(problem) for problem in problems)
    return f"{key or 'the file'} must be {' or '.join(rules)}, got {first.get('input')!r}"


def _tag(context: Any) -> str:
    """What is wrong with the key that says which kind of mapping it is."""
    name = context["discriminator"].strip("'")
    if "tag" not in context:
        return f"{name} is missing"
    return f"{name} must be one of {context['expected_tags']}, got '{context['tag']}'"


def _dotted(where: list[int | str]) -> str:
    """A location as in `arms.mine.policy[2].weight`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return "".join(parts).removeprefix(".")


def _rule(problem: Any) -> str:
    if problem["type"] in ("model_type", "dict_type"):
        return "a mapping"
    if problem["type"] == "string_pattern_mismatch":
        return f"text that matches {problem['ctx']['pattern']}"
    return str(problem["msg"]).removeprefix("Input should be ")


def _location(loc: tuple[int | str, ...], data: Any) -> list[int | str]:
    """Of pydantic's location the parts that are keys of the file (it adds names of types)."""
    where: list[int | str] = []
    for part in loc:
        if _has(data, part):
            data = data[part]
            where.append(part)
    return where


def _has(data: Any, part: int | str) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data
