"""Dose and response, and which transform helps: DVC experiments set side by side."""

from collections.abc import Iterable

from toolkit import errors
from toolkit.augmentation.transforms import parsing
from toolkit.errors import InputError
from toolkit.pipeline.experiments import Experiment
from toolkit.pipeline.params import Params

# --- what to run ------------------------------------------------------------------------------


def parse_targets(text: str) -> tuple[int, ...]:
    """Targets in ascending order from "60,120". Raises InputError for what is no such list."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"--target must be numbers of images such as 60,120,240, got {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def target_experiments(
    settings: Params, targets: Iterable[int], prefix: str
) -> dict[int, Experiment]:
    """An experiment for each target. Raises InputError where no compared arm has new images."""
    if not _made(settings):
        listed = ", ".join(settings.compare.arms)
        raise InputError(f"compare.arms must name an arm of augment.arms, got {listed}")
    return {n: Experiment(f"{prefix}-{n}", {"augment.target": n}) for n in targets}


def ablation_experiments(settings: Params, arm: str, prefix: str) -> dict[str, Experiment]:
    """An experiment without each transform of the arm's policy, and under "" the whole policy.

    Raises InputError for an arm that is not compared, a policy with one transform alone, and a
    group that cannot lose one.
    """
    if arm not in _made(settings):
        raise errors.unknown("arm", arm, _made(settings))
    given = settings.augment.arms[arm]
    names = parsing.of_arm(arm, given).names()
    if len(names) < 2:
        raise InputError(f"augment.arms.{arm} has one transform, {names[0]}: nothing to leave out")
    for name in names:  # each of them must leave a policy: said now, not hours from now
        parsing.of_arm(arm, given.model_copy(update={"without": [*given.without, name]}))
    key = f"augment.arms.{arm}.without"
    without = {
        name: Experiment(f"{prefix}-{arm}-without-{name}", {key: [*given.without, name]})
        for name in names
    }
    return {"": Experiment(f"{prefix}-{arm}", {}), **without}


def _made(settings: Params) -> list[str]:
    """The compared arms that have new images."""
    return [arm for arm in settings.compare.arms if arm in settings.augment.arms]
