"""The DVC experiments of a sweep: one for each target, or one without each transform."""

from collections.abc import Iterable

from toolkit import errors
from toolkit.augmentation.transforms import parsing
from toolkit.errors import InputError
from toolkit.pipeline.experiments import Experiment
from toolkit.pipeline.params import Params


def parse_targets(text: str) -> tuple[int, ...]:
    """Return the targets in "60,120" in ascending order. Raises InputError for any other text."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"--target must be numbers of images such as 60,120,240, got {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def target_experiments(
    settings: Params, targets: Iterable[int], prefix: str
) -> dict[int, Experiment]:
    """Return an experiment for each target.

    Raises InputError if no compared arm has new images.
    """
    if not _augmented(settings):
        listed = ", ".join(settings.compare.arms)
        raise InputError(f"compare.arms must name an arm of augment.arms, got {listed}")
    return {n: Experiment(f"{prefix}-{n}", {"augment.target": n}) for n in targets}


def ablation_experiments(settings: Params, arm: str, prefix: str) -> dict[str | None, Experiment]:
    """Return an experiment without each transform of the arm's policy, and one with all, at None.

    Raises InputError for an arm that is not compared, a policy with a single transform, and a
    group that cannot lose one.
    """
    if arm not in _augmented(settings):
        raise errors.unknown_name("arm", arm, _augmented(settings))
    section = settings.augment.arms[arm]
    names = parsing.make_arm_policy(arm, section).names()
    if len(names) < 2:
        raise InputError(f"augment.arms.{arm} has one transform, {names[0]}: nothing to leave out")
    for name in names:  # a policy that cannot do without it is refused now, not hours from now
        without_it = section.model_copy(update={"without": [*section.without, name]})
        parsing.make_arm_policy(arm, without_it)
    key = f"augment.arms.{arm}.without"
    without: dict[str | None, Experiment] = {
        name: Experiment(f"{prefix}-{arm}-without-{name}", {key: [*section.without, name]})
        for name in names
    }
    return {None: Experiment(f"{prefix}-{arm}", {}), **without}


def _augmented(settings: Params) -> list[str]:
    """Return the compared arms that have new images."""
    return [arm for arm in settings.compare.arms if arm in settings.augment.arms]
