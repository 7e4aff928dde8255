"""An entry drawn, and what was drawn done: transforms, and groups of them step by step.

A group's numbers are those of its steps, {"steps": [{"transform": ..., "params": ...}, ...]}, so
that a row says what was done in what order, and replays without the policy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from numpy.random import Generator
from PIL import Image

from toolkit.augmentation.transforms import external, policy, registry, sampling
from toolkit.augmentation.transforms.policy import PolicyEntry
from toolkit.augmentation.transforms.sampling import Params
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.images import Picture, Pixels

TRIES = 1000
BAND = 256  # rows of pixels that are mixed at a time

Step = Mapping[str, Any]
Drawn = tuple[str, Params]


# --- drawing ----------------------------------------------------------------------------------


def sample_params(entry: PolicyEntry, rng: Generator, image: Any) -> Drawn:
    """Draw the numbers of an entry for this picture (or array of pixels), within its limit.

    Gives the name that the row gets, and them. What is beyond the limit is drawn again; raises
    InputError where 1,000 draws are.
    """
    if not entry.limit:
        return _draw(entry, rng, image)
    size = sampling.size(image)
    for _ in range(TRIES):
        name, params = _draw(entry, rng, image)
        if all(_taken(limit, name, params, size) <= most for limit, most in entry.limit.items()):
            return name, params
    found = f"none of {TRIES:,} draws on an image of {size[0]} x {size[1]} keeps within"
    raise InputError(f"{entry.transform}: {found} the limit {dict(entry.limit)}; loosen it")


def _draw(entry: PolicyEntry, rng: Generator, image: Any) -> Drawn:
    name = entry.transform
    if entry.of:
        return DRAWS[name](entry, rng, image)
    if external.is_foreign(name):
        pixels = images.to_pixels(image) if isinstance(image, Image.Image) else image
        return name, external.sample_external(name, rng, pixels, entry.completed)
    return name, registry.find_transform(name).draw(rng, image, **entry.completed)


def _one_of(entry: PolicyEntry, rng: Generator, image: Any) -> Drawn:
    return sample_params(_pick(entry.of, rng), rng, image)


def _sequence(entry: PolicyEntry, rng: Generator, image: Any) -> Drawn:
    return "sequence", {"steps": _steps(entry.of, rng, image)}


def _some_of(entry: PolicyEntry, rng: Generator, image: Any) -> Drawn:
    count, again = _count(entry.completed["count"], rng), entry.completed["replace"]
    left, chosen = list(entry.of), list[PolicyEntry]()
    for _ in range(count):
        chosen.append(_pick(left, rng))
        if not again:
            left.remove(chosen[-1])
    return "some_of", {"steps": _steps(chosen, rng, image)}


def _mix(entry: PolicyEntry, rng: Generator, image: Any) -> Drawn:
    """The share of the original is uniform; chains share the rest as sorted cuts divide a stick.

    So both are drawn from the flat Beta and Dirichlet distributions, as AugMix does by default.
    """
    chains = _count(entry.completed["chains"], rng)
    rest = rng.random()
    cuts = sorted(rng.random() for _ in range(chains - 1))
    ends = zip([0.0, *cuts], [*cuts, 1.0], strict=True)
    shares = [round(rest * (high - low), 6) for low, high in ends]
    drawn = []
    for share in shares:
        depth = _count(entry.completed["depth"], rng)
        chosen = [_pick(entry.of, rng) for _ in range(depth)]
        drawn.append({"share": share, "steps": _steps(chosen, rng, image)})
    return "mix", {"original": round(1 - sum(shares), 6), "chains": drawn}


def _steps(chosen: Sequence[PolicyEntry], rng: Generator, image: Any) -> list[Step]:
    """Each is drawn for the image before the first: sizes, which draws may depend on, are kept."""
    drawn = [sample_params(part, rng, image) for part in chosen]
    return [{"transform": name, "params": params} for name, params in drawn]


def _pick(among: Sequence[PolicyEntry], rng: Generator) -> PolicyEntry:
    return policy.pick_entry(among, sum(entry.weight for entry in among), rng)


def _count(wanted: Any, rng: Generator) -> int:
    return wanted if isinstance(wanted, int) else sampling.integer(rng, *wanted)


def _taken(limit: str, name: str, params: Params, size: tuple[int, int]) -> float:
    """How much of a limit was drawn: steps add up, of chains the one with the most counts."""
    if name == "mix":
        return max(_taken(limit, "sequence", chain, size) for chain in params["chains"])
    if name in DRAWS:
        steps = params["steps"]
        return sum(_taken(limit, step["transform"], step["params"], size) for step in steps)
    bound = registry.find_transform(name).bounds.get(limit)
    return bound.measure(params, size) if bound else 0.0


def names(transform: str, params: Params) -> Iterator[str]:
    """The transforms that a row is made of: its own, or those of a group's steps."""
    if transform not in DRAWS:
        yield transform
        return
    for chain in params.get("chains", [params]):
        for step in chain["steps"]:
            yield from names(step["transform"], step["params"])


# --- doing ------------------------------------------------------------------------------------


def apply_transform(name: str, pixels: Pixels, params: Params) -> Pixels:
    """`change` for arrays."""
    return images.to_pixels(change(name, images.to_picture(pixels), params))


def change(name: str, picture: Picture, params: Params) -> Picture:
    """Do what `draw` decided. Raises InputError when the result is not RGB of the same size."""
    if name in CHANGES:
        return CHANGES[name](picture, params)
    if not external.is_foreign(name):
        return registry.find_transform(name).change(picture, params)
    pixels = images.to_pixels(picture)
    result = external.apply_external(name, pixels, params)
    if result.dtype != pixels.dtype or result.shape != pixels.shape:
        expected, found = _describe(pixels), _describe(result)
        raise InputError(
            f"{name} makes {found} of {expected}: a transform must keep size, channels and type"
        )
    return images.to_picture(result)


def _describe(pixels: Any) -> str:
    return f"{pixels.dtype} {' x '.join(str(n) for n in pixels.shape)}"


def _one_by_one(picture: Picture, params: Params) -> Picture:
    for step in params["steps"]:
        picture = change(step["transform"], picture, step["params"])
    return picture


def _mixed(picture: Picture, params: Params) -> Picture:
    """Sums of float32 in the order of the chains, rounded once: equal on every machine."""
    import numpy as np  # slow to import

    made = [picture, *(_one_by_one(picture, chain) for chain in params["chains"])]
    shares = [np.float32(part) for part in _shares(params)]
    pixels = [images.to_pixels(one) for one in made]
    result = np.empty_like(pixels[0])
    for top in range(0, len(result), BAND):
        total = np.full(result[top : top + BAND].shape, 0.5, np.float32)
        for share, one in zip(shares, pixels, strict=True):
            total += share * one[top : top + BAND]
        result[top : top + BAND] = np.clip(total, 0, 255)
    return images.to_picture(result)


def _shares(params: Params) -> list[float]:
    return [params["original"], *(chain["share"] for chain in params["chains"])]


DRAWS: dict[str, Callable[[PolicyEntry, Generator, Any], Drawn]] = {
    "one_of": _one_of,
    "sequence": _sequence,
    "some_of": _some_of,
    "mix": _mix,
}
CHANGES: dict[str, Callable[[Picture, Params], Picture]] = {
    "sequence": _one_by_one,
    "some_of": _one_by_one,
    "mix": _mixed,
}
