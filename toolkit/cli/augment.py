"""The command `augment`, apart from how its options are read."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.augmentation import plan, render, summary
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.transforms import parsing
from toolkit.augmentation.transforms.policy import Policy
from toolkit.cli import console
from toolkit.cli.options import parse_mapping, read_project, read_section
from toolkit.datasets.local import open_images
from toolkit.datasets.params import ReadParams
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.io.manifest import SIDECAR
from toolkit.io.schema import build, override
from toolkit.io.text import describe_rejected
from toolkit.pipeline.paths import ARMS, PREPARED
from toolkit.pipeline.steps.augment import augment, check_free

PREVIEW = Path("preview.png")


@dataclass(frozen=True)
class AugmentOptions:
    """The options of `toolkit augment`, as given."""

    train: Path | None = None
    output: Path | None = None
    target: str | None = None
    classes: Sequence[str] | None = None
    policy: str | None = None
    seed: int | None = None
    file_format: str | None = None
    size: int | None = None
    only_new: bool = False
    arm: str = "augmented"
    shards: int = 0
    explain: Path | None = None
    preview: bool = False
    force: bool = False
    yes: bool = False
    workers: int = 0
    quiet: bool = False
    reading: Mapping[str, Any] = field(default_factory=dict)

    def override(self, recorded: AugmentParams) -> AugmentParams:
        """Return the recorded settings, with those that are options here in their place."""
        options: dict[str, Any] = {
            "target": None if self.target is None else _parse_target(self.target),
            "classes": self.classes,
            "seed": self.seed,
            "format": self.file_format,
        }
        return override(recorded, {k: v for k, v in options.items() if v is not None})


def _parse_target(text: str) -> int | float | str | dict[str, int]:
    """Read a whole number, a ratio, a word of imbalanced-learn, or a mapping."""
    if text.lstrip().startswith("{"):
        return parse_mapping(text, "--target", "{without_mask: 360}")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def augment_from_options(options: AugmentOptions) -> None:
    """Run the command. Without `train` the paths are those of the project."""
    if options.explain:
        _explain(options.explain, options)
        return
    train = options.train or _prepared_images()
    if options.preview:
        _preview(train, options.output or PREVIEW, options)
        return
    output = options.output or ARMS / options.arm
    if options.arm == "original":
        reading = build(ReadParams, options.reading, "reading")
        files.check_replaceable(output, plan.TABLE)
        kept = render.write_original(_opened(train, options), output, reading=reading)
        listed = ", ".join(f"{n} {name}" for name, n in kept.counts().items())
        rejected = kept.notes.get("rejected", ())
        read = _understood(train, kept.notes.get("read", ""))
        left_out = _left_out(train, output, rejected, len(kept.samples))
        for line in (*read, *left_out, f"{output}: {listed}"):
            console.say(line, quiet=options.quiet)
        return
    _augment(train, output, options)


def _augment(train: Path, output: Path, options: AugmentOptions) -> None:
    recorded = read_section("augment", AugmentParams)
    settings = options.override(recorded)
    policy = _chosen_policy(settings, options)
    done = augment(
        train,
        output,
        target=settings.target,
        classes=settings.classes,
        policy=policy,
        draw=settings.draw,
        seed=settings.seed,
        format=settings.format,
        size=options.size,
        only_new=options.only_new or options.train is None,
        shards=options.shards,
        force=options.force,
        limit=settings.limit,
        yes=options.yes,
        workers=options.workers,
        reading=options.reading,
        track=console.track(options.quiet),
        say=partial(console.say, quiet=options.quiet),
    )
    beside = f"the contact sheet {done.sheet}, {done.most_changed.name} and {done.summary.name}"
    originals = sum(done.result.counts.values()) - sum(done.result.summary.new.values())
    lines = [
        *policy.notes,
        *_understood(train, done.result.read),
        *_left_out(train, output, done.result.rejected, originals),
        *render.describe_summary(done.result),
        *summary.describe_report(done.result.report),
        f"{output}: written, with {beside}",
    ]
    if options.train is None and settings.target != recorded.target:
        command = f"dvc exp run -S {shlex.quote(f'augment.target={options.target}')}"
        lines.append(f"not recorded: params.yaml says {recorded.target}; record it with: {command}")
    for line in lines:
        console.say(line, quiet=options.quiet)


def _understood(train: Path, read: str) -> list[str]:
    return [f"{train}: {read}"] if read else []


def _left_out(
    train: Path, output: Path, rejected: Sequence[Mapping[str, str]], used: int
) -> list[str]:
    """Return a line on the files that are not used, if there are any."""
    if not rejected:
        return []
    told = describe_rejected(rejected, used + len(rejected))
    return [f"{train}: {told}; all are listed in {output / SIDECAR}"]


def _opened(train: Path, options: AugmentOptions) -> Path:
    say = partial(console.say, quiet=options.quiet)
    links = build(ReadParams, options.reading, "reading").follow_links
    return open_images(train, track=console.track(options.quiet), say=say, links=links).folder


def _explain(image: Path, options: AugmentOptions) -> None:
    from toolkit.augmentation.explain import describe_trace, trace_image, write_again

    others = replace(options, explain=None, output=None, force=False, quiet=False)
    if others != AugmentOptions():
        raise InputError("--explain takes a new image, --output, --force and --quiet, no more")
    files.check_output(options.output, file=True)
    trace = trace_image(image)
    if options.output:
        write_again(trace, options.output, force=options.force)
    for line in describe_trace(image, trace):
        console.answer(line)
    if options.output:
        console.say(f"{options.output}: rendered again, byte for byte", quiet=options.quiet)


def _preview(train: Path, sheet: Path, options: AugmentOptions) -> None:
    from toolkit.augmentation.preview import write_preview

    if sheet.suffix != ".png":
        raise InputError(f"--preview writes a picture: --output must end in .png, got {sheet}")
    files.check_output(sheet, file=True)
    check_free(sheet, f"the sheet {sheet}", force=options.force)
    settings = options.override(read_section("augment", AugmentParams))
    policy, folder = _chosen_policy(settings, options), _opened(train, options)
    rows = write_preview(
        sheet,
        folder,
        settings,
        policy,
        size=options.size,
        reading=build(ReadParams, options.reading, "reading"),
        track=console.track(options.quiet),
    )
    for line in (*policy.notes, f"{sheet}: {rows} originals and what the policy makes of them"):
        console.say(line, quiet=options.quiet)


def _prepared_images() -> Path:
    """Return the folder of a project's training images."""
    read_project()  # raises where there is none
    train = PREPARED / "train"
    if not train.is_dir():
        raise InputError(f"{train}: no such folder; `dvc repro prepare` makes it")
    return train


def _chosen_policy(settings: AugmentParams, options: AugmentOptions) -> Policy:
    if options.policy:
        return parsing.make_policy(options.policy)
    return _arm_policy(settings, options.arm)


def _arm_policy(settings: AugmentParams, arm: str) -> Policy:
    if arm not in settings.arms:
        known = ", ".join(["original", *settings.arms])
        raise InputError(f"--arm must be one of {known} (augment.arms), got {arm!r}")
    policy = settings.arms[arm].policy
    if isinstance(policy, str) and policy.endswith(parsing.SUFFIXES):
        raise InputError(
            f"augment.arms.{arm}.policy names the file {policy}, whose changes DVC would not see; "
            f"write its list in its place, which `toolkit policies {policy}` prints"
        )
    return parsing.make_arm_policy(arm, settings.arms[arm])
