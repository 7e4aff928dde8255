"""What the results of each stage depend on besides its files, so that DVC runs what has changed.

`toolkit provenance` is the first stage, and always runs. It writes a file for each stage, or for
each of its arms or recipes, which the stage depends on: the params that it reads with their
defaults, the code that it runs, the versions of the packages that decide its results, and what
tells whether the images themselves changed.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.transforms import parsing
from toolkit.datasets import sources
from toolkit.datasets.tables.decisions import read_decision_table
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.io.closure import trace_imports
from toolkit.io.schema import dotted_keys
from toolkit.io.text import strip_credentials
from toolkit.pipeline.params import Params

SOURCE = "fetch"
"""The file that a folder of provenance always has."""
MOST = 12
"""Changes that are said one by one."""
Provenance = Mapping[str, Mapping[str, Any]]
"""Name of a stage, with its arm or recipe if it has one, as in "train/resnet18" -> content."""


def collect_provenance(settings: Params, previous: Path) -> Provenance:
    """Return what each stage depends on now.

    Images that are not on this machine stand as the folder `previous` has them. Raises InputError
    for a policy or a table of decisions that is not valid, and for images that cannot be listed.
    """
    augment, train = settings.augment, settings.train
    prepare = settings.prepare.model_dump(mode="json", exclude={"decisions"})
    decisions = _decisions(settings.prepare.decisions)
    arms = {name: parsing.make_arm_policy(name, arm) for name, arm in augment.arms.items()}
    return {
        SOURCE: _of_source(settings, previous / f"{SOURCE}.json"),
        "audit": _of("audit", audit=settings.audit, split=settings.prepare.split) | decisions,
        "prepare": _of("prepare", prepare=prepare, limits=settings.audit.limits) | decisions,
        "original": _of("augment"),
        **{
            f"augment/{name}": _of("augment", augment=_arm_settings(augment, name))
            | {"external": parsing.policy_versions(policy)}
            for name, policy in arms.items()
        },
        "probe": _of("probe"),
        "embed": _of("embed", **_embed_settings(settings)),
        **{
            f"train/{name}": _of(
                "train",
                device=train.device,
                threads=train.threads,
                precision=train.precision,
                recipe=recipe,
                seeds=sorted(settings.compare.seeds),
            )
            for name, recipe in train.recipes.items()
        },
        "evaluate": _of("evaluate", evaluate=settings.evaluate, runs=_declared_runs(settings)),
        "compare": _of("compare", compare=settings.compare),
        "report": _of("report", compare=settings.compare),
    }


def _embed_settings(settings: Params) -> dict[str, Any]:
    """Return what decides the features of a project."""
    train, names = settings.train, settings.compare.recipes
    frozen = {
        name: recipe.model_dump(mode="json", include={"network", "weights", "size"})
        for name, recipe in train.recipes.items()
        if name in names and recipe.frozen
    }
    machine = {"device": train.device, "threads": train.threads} if frozen else {}
    return {"arms": settings.compare.arms, "recipes": names, "frozen": frozen, **machine}


def _declared_runs(settings: Params) -> dict[str, Any]:
    return settings.compare.model_dump(mode="json", include={"arms", "recipes", "seeds"})


def _decisions(table: str) -> dict[str, str]:
    """Return the sha256 of the table of decisions, nothing if there is none."""
    decisions = read_decision_table(table)
    return {"decisions": decisions.sha256} if decisions else {}


def _arm_settings(augment: AugmentParams, name: str) -> dict[str, Any]:
    """Return the settings that decide an arm: not the other arms, nor what it may cost."""
    only = augment.model_copy(update={"arms": {name: augment.arms[name]}})
    return only.model_dump(mode="json", exclude={"limit"})


def _of_source(settings: Params, previous: Path) -> dict[str, Any]:
    found = _of("fetch", fetch=settings.fetch)
    images = sources.inspect_source(settings.fetch)
    before = _read(previous)
    if images is None and before.get("params") == found["params"]:
        images = before.get("images")
    return found | {"images": images}


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a stage's file, empty if it is missing or damaged."""
    try:
        content = files.read_json(path)
    except (OSError, ValueError, InputError):
        return {}
    return content if isinstance(content, dict) else {}


def _of(step: str, **params: Any) -> dict[str, Any]:
    closure = trace_imports(f"toolkit.pipeline.steps.{step}")
    values = {key: _plain(value) for key, value in params.items()}
    return {"params": values, "versions": closure.versions, "code": closure.code}


def _plain(value: Any) -> Any:
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.loads(strip_credentials(json.dumps(plain)))


def describe_changes(folder: Path, provenance: Provenance) -> list[str]:
    """Return a line for each thing that differs from what `folder` holds: it, and the stages."""
    stages: dict[str, list[str]] = {}
    for name, content in provenance.items():
        before, after = dotted_keys(_read(folder / f"{name}.json")), dotted_keys(content)
        for key in sorted(before.keys() | after.keys() if before else ()):
            if before.get(key) != after.get(key):
                stages.setdefault(key, []).append(name)
    lines = [f"{key} changed: {', '.join(names)}" for key, names in stages.items()]
    return lines if len(lines) <= MOST else [*lines[:MOST], f"and {len(lines) - MOST} more"]


def write_provenance(folder: Path, provenance: Provenance) -> None:
    """Write a JSON file for each stage; files of other stages are removed.

    Raises InputError for a folder that the toolkit did not write.
    """
    for path in folder.rglob("*"):
        if path.suffix != ".json" and path.name not in files.HARMLESS and not path.is_dir():
            raise InputError(f"{path}: was not written by the toolkit; choose another --output")
    with files.new_folder(folder, f"{SOURCE}.json") as building:
        for name, content in provenance.items():
            files.write_json(building / f"{name}.json", content)
