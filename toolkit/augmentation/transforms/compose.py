"""Policies and their entries sampled and applied: transforms, and groups of them step by step.

The params of a group are those of its steps, {"steps": [{"transform": ..., "params": ...}, ...]}:
they say what was done in which order, and can be replayed without the policy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from toolkit.augmentation.transforms import external, policy, registry, sampling
from toolkit.augmentation.transforms.policy import Policy, PolicyEntry
from toolkit.augmentation.transforms.sampling import Params
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.images import Picture

TRIES = 1000
BAND = 256  # rows of pixels that are mixed at a time

Step = Mapping[str, Any]
Sampled = tuple[str, Params]
"""The name of a transform or group, and its params."""


# --- sampling ---------------------------------------------------------------------------------


def sample_policy(chosen: Policy, rng: Generator, picture: Picture) -> Sampled:
    """Pick an entry by weight, and sample it as `sample_entry` does."""
    return sample_entry(policy.pick_entry(chosen.entries, chosen.total, rng), rng, picture)


def sample_entry(entry: PolicyEntry, rng: Generator, picture: Picture) -> Sampled:
    """Sample the params of an entry for this picture, within the entry's limit.

    Returns the name for the row, and the params. Params beyond the limit are sampled again; raises
    InputError if they still are after 1,000 times.
    """
    if not entry.limit:
        return _sample(entry, rng, picture)
    size = picture.size
    for _ in range(TRIES):
        name, params = _sample(entry, rng, picture)
        if all(_measure(limit, name, params, size) <= most for limit, most in entry.limit.items()):
            return name, params
    raise InputError(
        f"{entry.transform}: none of {TRIES:,} draws on an image of {size[0]} x {size[1]} keeps "
        f"within the limit {dict(entry.limit)}; loosen it"
    )


def _sample(entry: PolicyEntry, rng: Generator, picture: Picture) -> Sampled:
    name = entry.transform
    if entry.of:
        return SAMPLERS[name](entry, rng, picture)
    if external.is_external(name):
        pixels = images.to_pixels(picture)
        return name, external.sample_external(name, rng, pixels, entry.full_arguments)
    return name, registry.find_transform(name).sample(rng, picture, **entry.full_arguments)


def _one_of(entry: PolicyEntry, rng: Generator, picture: Picture) -> Sampled:
    return sample_entry(_pick(entry.of, rng), rng, picture)


def _sequence(entry: PolicyEntry, rng: Generator, picture: Picture) -> Sampled:
    return "sequence", {"steps": _steps(entry.of, rng, picture)}


def _some_of(entry: PolicyEntry, rng: Generator, picture: Picture) -> Sampled:
    count, replace = _count(entry.full_arguments["count"], rng), entry.full_arguments["replace"]
    remaining, picked = list(entry.of), list[PolicyEntry]()
    for _ in range(count):
        picked.append(_pick(remaining, rng))
        if not replace:
            remaining.remove(picked[-1])
    return "some_of", {"steps": _steps(picked, rng, picture)}


def _mix(entry: PolicyEntry, rng: Generator, picture: Picture) -> Sampled:
    """Draw the original's weight uniformly, and divide the rest among the chains at sorted cuts.

    So they have flat Beta and Dirichlet distributions, the defaults of AugMix.
    """
    chains = _count(entry.full_arguments["chains"], rng)
    rest = rng.random()
    cuts = sorted(rng.random() for _ in range(chains - 1))
    ends = zip([0.0, *cuts], [*cuts, 1.0], strict=True)
    weights = [round(rest * (high - low), 6) for low, high in ends]
    sampled = []
    for weight in weights:
        depth = _count(entry.full_arguments["depth"], rng)
        picked = [_pick(entry.of, rng) for _ in range(depth)]
        sampled.append({"weight": weight, "steps": _steps(picked, rng, picture)})
    return "mix", {"original": round(1 - sum(weights), 6), "chains": sampled}


def _steps(entries: Sequence[PolicyEntry], rng: Generator, picture: Picture) -> list[Step]:
    """Sample each for the picture before the first step, since steps keep the size."""
    sampled = [sample_entry(entry, rng, picture) for entry in entries]
    return [{"transform": name, "params": params} for name, params in sampled]


def _pick(entries: Sequence[PolicyEntry], rng: Generator) -> PolicyEntry:
    return policy.pick_entry(entries, sum(entry.weight for entry in entries), rng)


def _count(count: Any, rng: Generator) -> int:
    return count if isinstance(count, int) else sampling.sample_integer(rng, *count)


def _measure(limit: str, name: str, params: Params, size: tuple[int, int]) -> float:
    """Return how much of a limit is taken: the sum over steps, the maximum over chains."""
    if name == "mix":
        return max(_measure(limit, "sequence", chain, size) for chain in params["chains"])
    if name in SAMPLERS:
        steps = params["steps"]
        return sum(_measure(limit, step["transform"], step["params"], size) for step in steps)
    bound = registry.find_transform(name).bounds.get(limit)
    return bound.measure(params, size) if bound else 0.0


def transform_names(name: str, params: Params) -> Iterator[str]:
    """Yield the transforms of a row: its own, or those of a group's steps."""
    if name not in SAMPLERS:
        yield name
        return
    for chain in params.get("chains", [params]):
        for step in chain["steps"]:
            yield from transform_names(step["transform"], step["params"])


# --- applying ---------------------------------------------------------------------------------


def apply_transform(name: str, picture: Picture, params: Params) -> Picture:
    """Apply a transform or group with these params.

    Returns the same object where nothing changes. Raises InputError if the result is not an RGB
    picture of the same size.
    """
    if name in APPLIERS:
        return APPLIERS[name](picture, params)
    if not external.is_external(name):
        return registry.find_transform(name).apply(picture, params)
    pixels = images.to_pixels(picture)
    result = external.apply_external(name, pixels, params)
    if result.dtype != pixels.dtype or result.shape != pixels.shape:
        raise InputError(
            f"{name} turns {_describe(pixels)} into {_describe(result)}: a transform must keep "
            f"size, channels and type"
        )
    return images.to_picture(result)


def _describe(pixels: Any) -> str:
    return f"{pixels.dtype} {' x '.join(str(n) for n in pixels.shape)}"


def _apply_steps(picture: Picture, params: Params) -> Picture:
    for step in params["steps"]:
        picture = apply_transform(step["transform"], picture, step["params"])
    return picture


def _apply_mix(picture: Picture, params: Params) -> Picture:
    """Sum float32 in the order of the chains and round once: equal on every machine."""
    chains = params["chains"]
    pictures = [picture, *(_apply_steps(picture, chain) for chain in chains)]
    weights = np.array([params["original"], *(chain["weight"] for chain in chains)], np.float32)
    pixels = [images.to_pixels(part) for part in pictures]
    result = np.empty_like(pixels[0])
    for top in range(0, len(result), BAND):
        total = np.full(result[top : top + BAND].shape, 0.5, np.float32)
        for weight, part in zip(weights, pixels, strict=True):
            total += weight * part[top : top + BAND]
        result[top : top + BAND] = np.clip(total, 0, 255)
    return images.to_picture(result)


SAMPLERS: dict[str, Callable[[PolicyEntry, Generator, Picture], Sampled]] = {
    "one_of": _one_of,
    "sequence": _sequence,
    "some_of": _some_of,
    "mix": _mix,
}
APPLIERS: dict[str, Callable[[Picture, Params], Picture]] = {
    "sequence": _apply_steps,
    "some_of": _apply_steps,
    "mix": _apply_mix,
}
