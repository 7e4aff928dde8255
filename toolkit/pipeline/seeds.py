"""More seeds in params.yaml, whose comments and order stay."""

import io
from itertools import count, islice
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import YAMLError

from toolkit.datasets.params import ByFolds
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.pipeline.params import Params

FEWEST = 2


def check_more_seeds(settings: Params) -> None:
    """Raise InputError where more seeds cannot settle the primary contrast."""
    compare = settings.compare
    if compare.declared is None:
        raise InputError("compare.arms names one arm: there is nothing to settle; add another")
    if len(compare.seeds) < FEWEST:
        raise InputError("compare.seeds must be two or more, for one says nothing; name 0, 1, 2")
    recipe = compare.declared[0]
    if settings.train.recipes[recipe].frozen and not isinstance(settings.prepare.split, ByFolds):
        raise InputError(
            f"train.recipes.{recipe} is frozen: all seeds give the same network, and more of them "
            "settle nothing; set prepare.split to {folds: 5, repeats: 2}, which tests all images"
        )


def plan_in_params(path: Path, looks: tuple[int, ...]) -> None:
    """Write `compare.looks`."""
    data = _load(path)
    data["compare"]["looks"] = _in_one_line(list(looks))
    _write(path, data)


def name_seeds(path: Path, number: int) -> None:
    """Write so many `compare.seeds`, those that are there first; of folds as many repeats."""
    data = _load(path)
    seeds = data["compare"]["seeds"]
    new = (seed for seed in count() if seed not in seeds)
    seeds.extend([*islice(new, number - len(seeds))])  # in place: its comments stay
    split = data.get("prepare", {}).get("split")
    if isinstance(split, dict) and "folds" in split:
        split["repeats"] = number
    _write(path, data)


def _in_one_line(values: list[int]) -> CommentedSeq:
    line = CommentedSeq(values)
    line.fa.set_flow_style()
    return line


def _load(path: Path) -> Any:
    return YAML().load(path.read_text(encoding="utf-8"))


def _write(path: Path, data: Any) -> None:
    """Replace the file, if it then says what it should: comments can be in the way."""
    stream = io.StringIO()
    YAML().dump(data, stream)
    try:
        same = YAML(typ="safe", pure=True).load(stream.getvalue()) == data
    except YAMLError:
        same = False
    if not same:
        seeds, looks = ([*data["compare"].get(key, ())] for key in ("seeds", "looks"))
        raise InputError(
            f"{path}: its comments are in the way of a change; set compare.seeds to {seeds} and "
            f"compare.looks to {looks} by hand, and run again"
        )
    files.write_file(path, stream.getvalue())
