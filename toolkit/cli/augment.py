"""The command `augment`, apart from how its options are read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit.augmentation import contact_sheet, plan, render, summary
from toolkit.augmentation.transforms import parsing
from toolkit.augmentation.transforms.policy import Policy
from toolkit.cli import console
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.parallel import at_once, cores
from toolkit.pipeline.paths import ARMS, PARAMS, PREPARED

PREVIEW = Path("preview.png")
BESIDE = (".png", "-most-changed.png", "-summary.json")  # what ends the names of files beside it


@dataclass(frozen=True)
class Call:
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
    workers: int = 0
    quiet: bool = False


def augment_from_options(call: Call) -> None:
    """Do it and tell about it. Without `train` the paths are the project's."""
    if call.explain:
        _explain(call.explain, call)
        return
    train = call.train or _prepared()
    if call.preview:
        _preview(train, call.output or PREVIEW, call)
        return
    output = call.output or ARMS / call.arm
    if call.arm == "original":
        counts = render.write_original(train, output).counts()
        told = ", ".join(f"{n} {name}" for name, n in counts.items())
        console.say(f"{output}: {told}", quiet=call.quiet)
        return
    beside = _free(output, call.force)
    recorded, settings = _request(call)
    workers = call.workers or cores()
    made = render.augment_folder(
        train,
        output,
        settings,
        call.policy or _policy(settings, call.arm),
        size=call.size,
        form=render.OutputFormat(call.only_new or call.train is None, call.shards, call.force),
        workers=workers,
        track=console.track(call.quiet),
    )
    for line in [*render.describe_summary(made), *_beside(made, output, beside, workers)]:
        console.say(line, quiet=call.quiet)
    if call.train is None and settings.target != recorded.target:
        record = f"dvc exp run -S augment.target={call.target}"
        console.say(f"not recorded: params.yaml says {recorded.target}; record it with: {record}")


def _explain(place: Path, call: Call) -> None:
    from toolkit.augmentation.explain import describe_trace, trace_image, write_again

    plain = replace(call, explain=None, output=None, force=False, quiet=False)
    if plain != Call():
        raise InputError("--explain takes a new image, --output, --force and --quiet, no more")
    traced = trace_image(place)
    if call.output:
        write_again(traced, call.output, force=call.force)
    for line in describe_trace(place, traced):
        console.answer(line)
    if call.output:
        console.say(f"{call.output}: made again, byte for byte", quiet=call.quiet)


def _preview(train: Path, sheet: Path, call: Call) -> None:
    from toolkit.augmentation import originals
    from toolkit.augmentation.preview import write_preview
    from toolkit.datasets import folders

    if sheet.suffix != ".png":
        raise InputError(f"--preview writes a picture: --output must end in .png, got {sheet}")
    _check_free(sheet, f"the sheet {sheet}", call.force)
    _, settings = _request(call)
    chosen = parsing.make_policy(call.policy) if call.policy else _policy(settings, call.arm)
    source = folders.scan(train, console.track(call.quiet))
    originals.check_originals(source, train)
    grown = plan.quotas(source.counts(), settings.target, settings.classes)
    parsing.check_policy_classes(chosen, source.classes, grown)
    look = {"seed": settings.seed, "size": call.size}
    rows = write_preview(sheet, train, source, list(grown), chosen, **look)
    console.say(f"{sheet}: {rows} originals and what the policy makes of them", quiet=call.quiet)


def _free(output: Path, force: bool) -> list[Path]:
    """Where sheets and summary go. Raises InputError for a file there that is a person's own."""
    beside = [output.with_name(f"{output.name}{end}") for end in BESIDE]
    for path in beside:
        _check_free(path, f"a file of the output {output}", force)
    return beside


def _check_free(path: Path, what: str, force: bool) -> None:
    if path.exists() and not force and not _ours(path):
        message = f"{path}: stands where {what} goes, and was not written by the toolkit"
        raise InputError(f"{message}; move it away or replace it with --force")


def _ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return images.SOFTWARE.encode() in stream.read(200)


def _beside(
    made: render.AugmentationResult, output: Path, paths: Sequence[Path], workers: int
) -> list[str]:
    """Write the sheets and the summary beside the output; say what was made, and where they are."""
    sheet, changed, numbers = paths
    pairs = [(m.parent, m.child, f"{m.moved:.0f} grey levels") for m in made.report.most_changed]
    tasks = [
        lambda: contact_sheet.write(sheet, made.shown, output),
        lambda: contact_sheet.write_pairs(changed, pairs, output),
        lambda: summary.write_report(numbers, made.report),
    ]
    at_once(tasks, workers)
    return [
        *summary.describe_report(made.report),
        f"{output}: written, with the contact sheet {sheet}, {changed.name} and {numbers.name}",
    ]


def _prepared() -> Path:
    """A project's training images."""
    from toolkit.pipeline import project

    project.read_settings(PARAMS)  # says so if there is none
    train = PREPARED / "train"
    if not train.is_dir():
        raise InputError(f"{train}: no such folder; `dvc repro prepare` makes it")
    return train


def _request(call: Call) -> tuple[Any, Any]:
    """What params.yaml, or else the defaults, say, and the same with what the options say."""
    given: dict[str, Any] = {
        "target": _number(call.target),
        "classes": call.classes,
        "seed": call.seed,
        "format": call.file_format,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if PARAMS.is_file():
        from toolkit.pipeline import params, project

        recorded = project.read_settings(PARAMS).augment
        return recorded, params.override(recorded, given)
    from toolkit.augmentation.params import Request

    return Request(), Request(**given)


def _number(text: str | None) -> int | float | str | None:
    """A whole number, a ratio, or a word of imbalanced-learn's sampling_strategy."""
    for kind in (int, float):
        try:
            return kind(text or "")
        except ValueError:
            continue
    return text


def _policy(settings: Any, arm: str) -> Policy:
    if arm not in settings.arms:
        known = ", ".join(["original", *settings.arms])
        raise InputError(f"--arm must be one of {known} (augment.arms), got {arm!r}")
    named = settings.arms[arm].policy
    if isinstance(named, str) and named.endswith((".yaml", ".yml")):
        found = f"augment.arms.{arm}.policy names the file {named}"
        raise InputError(f"{found}, whose changes DVC would not see; write its list in its place")
    return parsing.of_arm(arm, settings.arms[arm])
