"""`toolkit push`, and `toolkit.push`."""

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import safe_open

from toolkit.checks.findings import Audit, read_audit
from toolkit.datasets import params
from toolkit.datasets.sources import FACEMASK
from toolkit.errors import DISTRIBUTION, InputError, import_package, require_package
from toolkit.evaluation.evaluate import RunOutputs, evaluate_run
from toolkit.evaluation.results import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    VALID_FILE,
    RunResult,
    read_result,
)
from toolkit.io import files, inside
from toolkit.io.schema import build
from toolkit.io.text import shorten, strip_credentials
from toolkit.metrics.confusion import matrix_of
from toolkit.metrics.decisions import (
    Decisions,
    apply_decisions,
    apply_out_of_fold,
    choose_decisions,
)
from toolkit.metrics.params import (
    CostRule,
    EvaluateParams,
    GmeanRule,
    RecallRule,
    ThresholdRule,
)
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.thresholds import parse_rule
from toolkit.pipeline import paths
from toolkit.pipeline.steps.predict import describe_decisions, given_probability, read_decisions
from toolkit.pipeline.use.export import ABOUT, RESIZE, describe_export, export_name
from toolkit.reporting.card import CardFacts, CardResults, Matrix, model_card
from toolkit.training import runs
from toolkit.training.export.formats import EXPORT_FORMATS
from toolkit.training.pretrained.weights import MAX_WEIGHTS
from toolkit.training.runs import Run

CARD, CONFIG, INDEX = "README.md", "config.json", "model.safetensors.index.json"
ADDRESS = re.compile(r"hf://(?!datasets/|spaces/)([\w.-]+/[\w.-]+)")
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.-]*")
REPLACED = ("model.*", "folds/*", "gradients.csv")
"""What an earlier push may have left on the hub and this one does not have."""
LICENSES = {"synthetic": "MIT", "facemask": "MIT", "elpv": "CC BY-NC-SA 4.0"}
"""Of the images that a source gives, where it is known."""
PRETRAINED = "ImageNet's weights of EfficientNet-Lite0 (Apache 2.0)"


def push(
    run: Run | Path | str,
    address: str | None = None,
    *,
    output: Path | str | None = None,
    evaluation: Path | str | None = None,
    audit: Path | str | None = None,
    exported: Path | str | None = None,
    positive: str | None = None,
    threshold: str | float | ThresholdRule = "gmean",
    license: str | None = None,  # noqa: A002 - as the option is called
    data_license: str | None = None,
    public: bool = False,
    fetch: params.FetchParams | Mapping[str, Any] | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> str:
    """Write the folder that Hugging Face's hub expects, with a model card, and upload it.

    `run` is what `train` returned, or its folder; `address` is hf://owner/name. `output` is a
    new folder to write; without an address that is all. It holds the run, which `predict` takes as
    one; README.md, the card; and config.json. `evaluation` is a folder that `evaluate` wrote for
    this run, `audit` the JSON file of `audit`, and `exported` a folder of `export`, which goes
    along. In a project these are found by themselves, for runs in models/. `positive` and
    `threshold` are those of `predict`. `license` is the identifier of the weights' license on the
    hub, such as "mit", `data_license` that of the images in words; `fetch` is that section of
    params.yaml: where they are from. The repository is made if there is none, seen by its owner
    alone unless it is `public`.

    Returns where it is. Raises InputError for what does not belong to the run, for a package that
    is missing, and for what the hub refuses.
    """
    name = _repository(address, output, license)
    files.check_replaceable(output, "")
    about = run if isinstance(run, Run) else runs.read_run(Path(run))
    place = about.located()
    decisions = read_decisions(about, positive, threshold)
    own = place_in_project(place)
    tested = _evaluation(about, evaluation, own)
    audited = _audit(audit, own)
    beside = _exported(about, decisions, exported, own)
    for key, value in {"evaluation": tested, "audit": audited}.items():
        if value is None:
            say(f"the card has no {key}; name one by --{key}")
    facts = replace(
        _facts(about, decisions, threshold),
        address=name,
        license=license,
        onnx="model.onnx" in beside,
        audit=audited,
        results=_results(tested, decisions, threshold) if tested else None,
    )
    if fetch is not None:
        facts = _with_source(facts, TypeAdapter(params.FetchParams).validate_python(fetch))
    facts = replace(facts, data_license=data_license or facts.data_license)
    if output is not None:
        folder = Path(output)
        with files.new_folder(folder, marker="") as building:  # a person may have edited the card
            _write(building, about, decisions, beside, facts)
        return _upload(folder, name, public=public) if name else str(folder)
    with tempfile.TemporaryDirectory() as building:
        _write(Path(building), about, decisions, beside, facts)
        return _upload(Path(building), str(name), public=public)


def _repository(
    address: str | None,
    output: Path | str | None,
    license: str | None,  # noqa: A002
) -> str | None:
    """Return owner/name, None for a folder alone. Raises InputError before any work."""
    if license is not None and not IDENTIFIER.fullmatch(license):
        raise InputError(
            f"--license must be an identifier of the hub, such as mit, cc-by-4.0 or other, "
            f"got {license[:80]!r}"
        )
    if address is None:
        if output is None:
            raise InputError("nowhere to write to: give hf://owner/name, or a folder by --output")
        return None
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(f"{address[:200]}: must be hf://owner/name, the address of a model")
    require_package("huggingface_hub")
    return match[1]


def place_in_project(place: Path) -> Path | None:
    """Return a run's place in models/ of this project; None for one that lies elsewhere."""
    models, run = files.resolve(paths.MODELS), files.resolve(place)
    return run.relative_to(models) if models in run.parents else None


# --- what lies beside a run -------------------------------------------------------------------


def _evaluation(run: Run, given: Path | str | None, own: Path | None) -> RunResult | None:
    """Return the evaluation of this very network. Raises InputError for one of another."""
    folder = Path(given) if given is not None else paths.RUNS / own if own else None
    if folder is None or (given is None and not (folder / METRICS_FILE).is_file()):
        return None
    if not folder.is_dir():
        raise files.missing(folder, "folder", "name one that `toolkit evaluate` wrote")
    result = read_result(folder)
    table = folder / (PREDICTIONS_FILE if run.held_out else VALID_FILE)
    same = table.is_file() and files.sha256(table) == files.sha256(run.located() / runs.VALID)
    named = (result.arm, result.recipe, result.seed) == (run.arm, run.recipe, run.seed)
    if not (named and same and result.conditions == run.conditions):
        raise InputError(f"{folder}: not an evaluation of this run; evaluate {run.located()} again")
    return result


def _audit(given: Path | str | None, own: Path | None) -> Audit | None:
    if given is not None:
        return read_audit(Path(given))
    return read_audit(paths.AUDIT) if own and paths.AUDIT.is_file() else None


def _exported(
    run: Run, decisions: Decisions, given: Path | str | None, own: Path | None
) -> dict[str, bytes]:
    """Return the files of a folder that `export` wrote of this network with these decisions."""
    folder = paths.EXPORTED / export_name(run, "onnx") if given is None else Path(given)
    if given is None and not (own and (folder / ABOUT).is_file()):
        return {}
    where = folder / ABOUT
    again = f"run `toolkit export {run.located()}` again"
    try:
        about = inside.read_inside(folder, ABOUT, MAX_WEIGHTS)
        content = files.parse_json(about.decode())
        name, digest = content["file"], content["file_sha256"]
        notes = describe_export(run, decisions)
        if {key: content.get(key) for key in notes} != notes:
            raise InputError("of another network, or with other decisions")
        if name not in {of.file for of in EXPORT_FORMATS.values()}:
            raise InputError("of a format that is not known")
        return {name: inside.read_hashed(folder, name, digest, MAX_WEIGHTS), ABOUT: about}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: does not belong to the run ({error}); {again}") from error


def _results(
    result: RunResult, decisions: Decisions, threshold: str | float | ThresholdRule
) -> CardResults:
    """Measure what `predict` makes of the test images; of each fold with decisions of others."""
    test, decided = result.predictions, apply_decisions(result.predictions, decisions)
    settings = EvaluateParams(positive=decisions.positive)
    if test.folds is not None and given_probability(threshold) is None:
        rule = parse_rule(threshold) if isinstance(threshold, str) else threshold
        choosing = build(EvaluateParams, {"positive": decisions.positive, "threshold": rule}, "")
        decided = apply_out_of_fold(
            test,
            test.folds,
            lambda own, others: apply_decisions(own, choose_decisions(others, choosing)),
        )
    first, second = (
        evaluate_run(RunOutputs(result.key, replace(of, folds=None)), settings)
        for of in (decided, test)
    )
    return CardResults(first, second, _matrix(decided), _matrix(test), test.folds is not None)


def _matrix(predictions: Predictions) -> Matrix:
    return tuple(tuple(row) for row in matrix_of(predictions).tolist())


# --- what is written --------------------------------------------------------------------------


def _facts(run: Run, decisions: Decisions, threshold: str | float | ThresholdRule) -> CardFacts:
    settings, valid = run.settings, runs.read_valid(run)
    start = "random weights"
    if settings.frozen:
        start = PRETRAINED
    elif settings.weights:
        start = f"weights with the sha256 {settings.weights.sha256}"
    folds = f", cross-fitted in {run.held_out.folds} folds" if run.held_out else ""
    options = ""
    if decisions != run.decisions:
        positive = shlex.quote(decisions.positive or "")
        options = f" --positive {positive} --threshold {_as_option(threshold)}"
    return CardFacts(
        name=export_name(run),
        address=None,
        network=settings.network,
        size=run.size,
        made=f"the arm {run.arm}, recipe {run.recipe}, seed {run.seed}{folds}; epoch "
        f"{run.best_epoch} of {len(run.history)}, on {run.device} in {run.precision}",
        start=start,
        counts=run.counts,
        originals=run.original_counts,
        valid={name: valid.actual.count(name) for name in run.classes},
        decisions=decisions,
        decided=describe_decisions(decisions, threshold),
        options=options,
        hashes={
            "the weights": run.weights_sha256,
            "the training images' manifest": run.manifest,
            "the validation images' manifest": run.valid,
        },
        versions=run.versions,
        problem=run.problem or ("" if run.complete else "its time was up"),
    )


def _as_option(threshold: str | float | ThresholdRule) -> str:
    """Return a threshold as `predict` takes it."""
    match threshold:
        case CostRule(ratio=ratio):
            return f"cost:{ratio}"
        case RecallRule(recall=recall):
            return f"recall:{recall}"
        case GmeanRule():
            return "gmean"
    return shlex.quote(str(threshold))


def _with_source(facts: CardFacts, fetch: params.FetchParams) -> CardFacts:
    """Say where the images are from; paths of this machine are left out."""
    dataset = None
    match fetch:
        case params.Synthetic():
            source = f"faces drawn by {DISTRIBUTION}"
        case params.Facemask():
            source = f"{FACEMASK.url}, commit {FACEMASK.commit}"
        case params.Elpv():
            source = "the package elpv-dataset: solar cells, defective or not"
        case params.Huggingface():
            dataset = fetch.name
            source = f"the data set {fetch.name} of Hugging Face, commit {fetch.revision}"
        case params.Kaggle():
            source = f"the data set {fetch.name} of Kaggle, version {fetch.version}"
        case params.Git(url=url) if "://" in url:
            source = f"{strip_credentials(url)}, commit {fetch.commit}"
        case params.Archive(location=url) if "://" in url:
            source = f"{strip_credentials(url).partition('?')[0]}, sha256 {fetch.sha256}"
        case _:
            source = "images of whoever trained it"
    license = LICENSES.get(fetch.source)  # noqa: A001 - as the option is called
    return replace(facts, source=source, dataset=dataset, data_license=license)


def _write(
    folder: Path, run: Run, decisions: Decisions, beside: Mapping[str, bytes], facts: CardFacts
) -> None:
    with inside.folder_writer(folder, replace=False) as write:
        for name, data in runs.run_files(run):
            write(name, data)
        for name, data in beside.items():
            write(name, data)
    files.write_json(folder / INDEX, _index(folder))
    files.write_json(folder / CONFIG, _config(run, decisions))
    files.write_file(folder / CARD, model_card(facts))


def _index(folder: Path) -> dict[str, Any]:
    """Return by which file of weights each tensor is found, as the hub reads them."""
    with safe_open(folder / runs.WEIGHTS, framework="numpy") as weights:
        names = list(weights.keys())
    total = (folder / runs.WEIGHTS).stat().st_size
    return {"metadata": {"total_size": total}, "weight_map": dict.fromkeys(names, runs.WEIGHTS)}


def _config(run: Run, decisions: Decisions) -> dict[str, Any]:
    labels = {str(number): name for number, name in enumerate(run.classes)}
    return {
        "model_type": DISTRIBUTION,
        "architectures": [run.settings.network],
        "id2label": labels,
        "label2id": {name: int(number) for number, name in labels.items()},
        "image_size": run.size,
        "image_mean": [run.mean] * 3,
        "image_std": [run.deviation] * 3,
        "resize": RESIZE,
        "bits": run.bits,
        "temperature": decisions.temperature,
        "positive": decisions.positive,
        "threshold": decisions.calibrated_threshold,
    }


def _upload(folder: Path, name: str, *, public: bool) -> str:
    """Upload a folder in one commit; return its address. The hub's package knows the token."""
    hub = import_package("huggingface_hub")
    try:
        api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        made = api.create_repo(name, private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message="toolkit push",
            delete_patterns=list(REPLACED),
        )
    except Exception as error:  # whatever the package raises
        reason = shorten(strip_credentials(str(error)).strip() or type(error).__name__, 300)
        raise InputError(
            f"hf://{name}: cannot be uploaded ({reason}); check the name and the network, and "
            "log in first by `hf auth login` with a token that may write"
        ) from error
    return str(made)
