"""The model card of a run: Markdown that begins with the metadata that Hugging Face reads."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from toolkit.checks.findings import Audit
from toolkit.errors import DISTRIBUTION
from toolkit.evaluation.evaluate import TITLES, Evaluation, metric_table
from toolkit.evaluation.verdict import escape_markdown
from toolkit.metrics.decisions import Decisions

Matrix = tuple[tuple[int, ...], ...]
"""Numbers of images: a row for each actual class, a column for each predicted one."""


@dataclass(frozen=True)
class CardResults:
    """What was measured on test images: as `predict` decides, and where the highest score does.

    `folds` says that each image was tested by a network that was trained without its fold.
    """

    decided: Evaluation
    highest: Evaluation
    decided_matrix: Matrix
    highest_matrix: Matrix
    folds: bool


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    `address` is owner/name on the hub, `made` says how it was trained and `start` from which
    weights. `counts` are the training images of each class, `originals` those that were not made
    from others, `valid` those that decided. `decided` says how scores become classes, `options` is
    what `predict` takes for that. `hashes` are
    sha256 by what they are of, `source` says where the images are from, `dataset` its name on the
    hub. `problem` is that of a training that ended early; `onnx` says that model.onnx lies beside.
    """

    name: str
    address: str | None
    network: str
    size: int
    made: str
    start: str
    counts: Mapping[str, int]
    originals: Mapping[str, int]
    valid: Mapping[str, int]
    decisions: Decisions
    decided: str
    hashes: Mapping[str, str]
    versions: Mapping[str, str | None]
    options: str = ""
    problem: str = ""
    source: str | None = None
    dataset: str | None = None
    license: str | None = None
    data_license: str | None = None
    results: CardResults | None = None
    audit: Audit | None = None
    onnx: bool = False


def model_card(facts: CardFacts) -> str:
    """Return the card, which depends on nothing but the facts."""
    sections = {
        "How to use it": _use(facts),
        "How it decides": _decisions(facts),
        "Results": _results(facts),
        "Training images": _data(facts),
        "What the audit found": _audit(facts.audit),
        "Intended use and limits": _limits(facts),
        "Licenses": _licenses(facts),
        "How it was made": _making(facts),
    }
    classes = _listed([escape_markdown(name) for name in facts.counts])
    title = (
        f"# {escape_markdown(facts.name)}\n\nAn image classifier, {facts.network}, that tells "
        f"{classes} apart at {facts.size} x {facts.size} pixels."
    )
    parts = [f"## {name}\n\n" + "\n".join(lines) for name, lines in sections.items()]
    return "\n\n".join([f"---\n{_metadata(facts)}---", title, *parts]) + "\n"


# --- metadata ---------------------------------------------------------------------------------


def _metadata(facts: CardFacts) -> str:
    """Return the block as YAML; what a person named is quoted, as `no` would be a truth value."""
    data: dict[str, object] = {"license": facts.license} if facts.license else {}
    data |= {
        "library_name": DISTRIBUTION,
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "imbalanced-classification", DISTRIBUTION],
    }
    if facts.dataset:
        data["datasets"] = [DoubleQuotedScalarString(facts.dataset)]
    if facts.results:
        data["model-index"] = [_index(facts, facts.results)]
    stream = io.StringIO()
    YAML().dump(data, stream)
    return stream.getvalue()


def _index(facts: CardFacts, results: CardResults) -> dict[str, object]:
    measured = results.decided.metrics
    metrics = [
        {"type": name, "name": title, "value": round(float(measured[name]), 4)}
        for name, title in TITLES.items()
        if name in measured
    ]
    place = {
        "type": DoubleQuotedScalarString(facts.dataset or "images"),
        "name": DoubleQuotedScalarString(facts.dataset or f"test images of {facts.name}"),
        "split": "test",
    }
    return {
        "name": DoubleQuotedScalarString(facts.name),
        "results": [{"task": {"type": "image-classification"}, "dataset": place} | {
            "metrics": metrics
        }],
    }  # fmt: skip


# --- sections ---------------------------------------------------------------------------------


def _use(facts: CardFacts) -> Iterator[str]:
    folder = facts.address.split("/")[1] if facts.address else "FOLDER"
    extras = "huggingface,train" if facts.address else "train"
    yield from ("```", f"pip install '{DISTRIBUTION}[{extras}]'")
    if facts.address:
        yield f"hf download {facts.address} --local-dir {folder}"
    yield from (f"toolkit predict {folder} photos{facts.options}", "```", "")
    yield (
        "`photos` are images, folders or archives; each file becomes a row with its class and "
        "calibrated probabilities, or its error. The weights are `weights.safetensors`, and "
        "`config.json` has the classes and what is done around the network."
    )
    if facts.onnx:
        yield (
            "`model.onnx` takes RGB images and gives calibrated probabilities, with onnxruntime "
            "alone; `model.json` describes it."
        )


def _decisions(facts: CardFacts) -> Iterator[str]:
    yield f"From scores to classes: {escape_markdown(facts.decided)}."
    positive, results = facts.decisions.positive, facts.results
    if positive and results:
        missed, rare, alarms, others = _errors(results, results.decided_matrix, positive)
        plain = _errors(results, results.highest_matrix, positive)
        name = escape_markdown(positive)
        yield (
            f"What that costs: of {rare} test images of {name} {missed} are missed, and {alarms} "
            f"of {others} others are taken for it. Where the highest score decided, "
            f"{plain[0]} would be missed, with {plain[2]} false alarms."
        )


def _errors(results: CardResults, matrix: Matrix, positive: str) -> tuple[int, int, int, int]:
    """Return missed images of the class, of how many, and false alarms, of how many."""
    column = results.decided.classes.index(positive)
    rare, found = sum(matrix[column]), matrix[column][column]
    taken = sum(row[column] for row in matrix) - found
    return rare - found, rare, taken, sum(map(sum, matrix)) - rare


def _results(facts: CardFacts) -> Iterator[str]:
    if (results := facts.results) is None:
        yield "It was not evaluated on test images, so nothing is known of how well it does."
        return
    images = sum(map(sum, results.decided_matrix))
    how = "each by a network that was trained without its fold" if results.folds else "held out"
    yield from (f"On {images} test images, {how}; in parentheses 95% intervals.", "")
    highest = {row[0]: row for row in metric_table(results.highest)}
    rows = [
        [title, f"{value} ({interval})", "{1} ({2})".format(*highest[title])]
        for title, value, interval in metric_table(results.decided)[1:]
        if title in highest
    ]
    cells = [[cell.replace(" ()", "") for cell in row] for row in rows]
    yield from _table(["metric", "as `predict` decides", "the highest score"], cells)
    yield from ("", "Where `predict` decides:", "")
    classes = results.decided.classes
    body = [
        [name, *map(str, row)] for name, row in zip(classes, results.decided_matrix, strict=True)
    ]
    yield from _table(["actual \\ predicted", *map(escape_markdown, classes)], body)


def _data(facts: CardFacts) -> Iterator[str]:
    tested = {}
    if facts.results:
        classes, matrix = facts.results.decided.classes, facts.results.decided_matrix
        tested = {name: sum(row) for name, row in zip(classes, matrix, strict=True)}
    rows = [
        [name, str(of), str(facts.counts[name] - of), str(facts.valid[name])]
        + ([str(tested[name])] if tested else [])
        for name, of in facts.originals.items()
    ]
    header = ["class", "originals", "made from them", "validation"]
    yield from _table([*header, "test"] if tested else header, rows)
    yield from ("", f"Source: {escape_markdown(facts.source or 'not stated')}.")


def _audit(audit: Audit | None) -> Iterator[str]:
    if audit is None:
        yield "The images were not audited, or the audit was not at hand."
        return
    flagged = {name: of for name, of in audit.checks.items() if of.flagged}
    yield f"{len(audit.checks)} checks of {audit.images} images, before they were split."
    if not flagged:
        yield "None of them found anything."
        return
    yield ""
    rows = [[name, str(of.flagged), of.action, of.meaning] for name, of in flagged.items()]
    yield from _table(["check", "flagged", "action", "what is flagged"], rows)


def _limits(facts: CardFacts) -> Iterator[str]:
    names = _listed([escape_markdown(name) for name in facts.counts])
    total = sum(facts.valid.values())
    shares = [f"{n / total:.0%} {escape_markdown(name)}" for name, n in facts.valid.items()]
    yield (
        "- For images like those it was trained on: the same kind of subject, camera and cut. "
        "Others were not tested."
    )
    yield f"- It knows nothing but {names}: an image of anything else gets one of them as well."
    yield (
        f"- Its probabilities are calibrated for the shares of the validation images "
        f"({', '.join(shares)}). With other shares they are off, and so is the threshold."
    )
    if facts.results:
        matrix = facts.results.decided_matrix
        fewest = min(range(len(matrix)), key=lambda row: sum(matrix[row]))
        name = escape_markdown(facts.results.decided.classes[fewest])
        images = sum(matrix[fewest])
        yield f"- Of {name} there are {images} test images: each is {1 / images:.3f} of its recall."
    if facts.audit and any(of.check == "shortcuts" for of in facts.audit.findings):
        yield (
            "- The audit found that a property of the files predicts the class: the results may "
            "rest on it, and not on what the images show."
        )
    if facts.problem:
        yield f"- The training ended early: {escape_markdown(facts.problem)}."
    yield "- Where a mistake harms somebody, a person must look at the image as well."


def _licenses(facts: CardFacts) -> Iterator[str]:
    yield f"- These weights: {escape_markdown(facts.license or 'not stated')}"
    yield f"- The images: {escape_markdown(facts.data_license or 'not stated')}"
    yield f"- What training started from: {escape_markdown(facts.start)}"


def _making(facts: CardFacts) -> Iterator[str]:
    yield from (f"Trained on: {escape_markdown(facts.made)}.", "")
    versions = [f"{name} {of}" for name, of in facts.versions.items() if of]
    rows = [["versions", ", ".join(versions)]]
    rows += [[f"sha256 of {name}", digest] for name, digest in facts.hashes.items()]
    yield from _table(["of", "value"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(map(escape_markdown, row))} |"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
