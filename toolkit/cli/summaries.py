"""What commands print with `--json`: plain values, with the keys that docs/schemas describe."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from toolkit.checks.findings import Audit
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import ArmEstimate, Contrast
from toolkit.evaluation.evaluate import Evaluation
from toolkit.evaluation.verdict import comparison_notes, verdict_sentence
from toolkit.metrics.predictions import Predictions


def audit_summary(audit: Audit) -> dict[str, Any]:
    """Return what `audit --json` prints: audit.json without its hash, and what failed."""
    failed = sorted({finding.check for finding in audit.failures})
    return asdict(audit) | {"images": audit.images, "failed": failed}


def evaluation_summary(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return what `evaluate --json` prints: each run by its name, one or several."""
    runs = [{"name": name, **asdict(evaluation)} for name, evaluation in evaluations.items()]
    return {"runs": runs}


def comparison_summary(
    compared: Comparison, seconds: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """Return what `compare --json` prints: estimates, contrasts, leaderboard and sentences.

    `seconds` are those of a run, by recipe and arm, as far as they are known.
    """
    primary = dict(zip(("recipe", "arm", "against"), compared.primary or (), strict=False))
    return {
        "baseline": compared.baseline,
        "control": compared.control,
        "positive": compared.positive,
        "primary": primary or None,
        "test_images": compared.test_images,
        "estimates": [_estimate(row) for row in compared.estimates],
        "contrasts": [_contrast(contrast) for contrast in compared.contrasts],
        "leaderboard": [
            asdict(of) | {"seconds": seconds.get((of.recipe, of.arm))}
            for of in compared.leaderboard
        ],
        "notes": comparison_notes(compared),
    }


def _estimate(row: ArmEstimate) -> dict[str, Any]:
    metrics = {
        name: {
            "mean": row.mean(name),
            "low": row.intervals[name][0],
            "high": row.intervals[name][1],
            "values": row.values[name],
        }
        for name in row.values
    }
    return {"recipe": row.recipe, "arm": row.arm, "seeds": row.seeds, "metrics": metrics}


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "recipe": contrast.recipe,
        "arm": contrast.arm,
        "against": contrast.against,
        "role": "primary" if contrast.primary else "exploratory",
        "scope": contrast.scope,
        "seeds": contrast.seeds,
        "metric": contrast.metric,
        "verdict": contrast.verdict,
        "p": contrast.p,
        "verdict_as_predicted": contrast.verdict_as_predicted,
        "p_as_predicted": contrast.p_as_predicted,
        "margin": contrast.margin,
        "detectable": contrast.detectable,
        "differences": {
            name: {"value": of.value, "low": of.low, "high": of.high, "p": of.p}
            for name, of in contrast.differences.items()
        },
        "sentence": verdict_sentence(contrast),
    }


def prediction_summary(predictions: Predictions) -> dict[str, Any]:
    """Return what `predict --json` prints: each file with its class and probabilities, or `error`.

    Each has the same keys; null is what is not known.
    """
    scores = predictions.required_scores("JSON")
    images = [
        {
            "file": ident,
            "actual": predictions.actual[row] if predictions.actual else None,
            "predicted": predictions.predicted[row],
            "scores": dict(zip(predictions.classes, scores[row].tolist(), strict=True)),
            "error": None,
        }
        for row, ident in enumerate(predictions.ids)
    ]
    nothing = {"actual": None, "predicted": None, "scores": None}
    failed = [{"file": name, **nothing, "error": why} for name, why in predictions.problems.items()]
    return {"classes": [*predictions.classes], "images": [*images, *failed]}
