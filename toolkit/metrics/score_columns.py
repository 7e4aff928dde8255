"""Where another tool's table holds the scores: columns that are named after the classes, or one.

See `columns` for what is told and what is refused.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolkit.errors import InputError
from toolkit.metrics.arrays import Floats
from toolkit.metrics.columns import (
    PREDICTED,
    SCORE,
    SHOWN,
    PredictionTable,
    ToldColumns,
    label_key,
    plain_name,
    to_float,
)

TOLERANCE = 0.01
"""How far the scores of a row may add up to more or less than 1: other tools write few digits."""
WORDS = (
    "score", "scores", "prob", "probs", "proba", "probability", "probabilities", "p", "conf",
    "confidence", "softmax", "logit", "logits", "pred", "prediction", "predictions", "output",
    "y_prob", "y_proba", "y_score", "pred_prob", "pred_proba",
)  # fmt: skip
"""Words that stand before or after the class in the name of a column of scores."""
LONE = {
    *WORDS, *PREDICTED, "pred_score", "pred_conf", "pred_confidence", "prediction_score",
    "predicted_probability", "predicted_prob", "prediction_probability", "predictions_confidence",
    "predictions_score", "predictions_logits", "y_pred_proba", "y_pred_prob", "positive_prob",
    "prob_positive", "scored_probabilities", "top1_conf", "top1conf",
}  # fmt: skip
"""Names of a column that holds one score an image, or a list of them."""
POSITIVE = ({"0", "1"}, {"-1", "1"}, {"no", "yes"}, {"neg", "pos"}, {"negative", "positive"})
"""Pairs of labels of which the last in alphabetical order is the positive one, by convention."""


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores [N, K] of the classes; `named`: each class has a column that names it."""

    classes: tuple[str, ...]
    values: Floats
    named: bool = False


@dataclass(frozen=True, eq=False)
class Question:
    """Where the scores of a table of N images are, whose actual classes are known.

    They are in the columns `rest`, one score an image perhaps in one of `lone`. `guess` is None
    where the scores tell the predicted classes; `doubt` is the name of the actual classes' column
    if it may hold predicted ones. `said` is added to.
    """

    table: PredictionTable
    rest: Sequence[int]
    lone: Sequence[int]
    truth: tuple[str, ...]
    guess: tuple[str, ...] | None
    columns: ToldColumns
    said: list[str]
    doubt: str = ""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes that occur."""
        return tuple(sorted({*self.truth, *(self.guess or ())}))

    def numbers(self, columns: Iterable[int]) -> Floats:
        """Return columns of numbers [N, len(columns)]. Raises InputError for other texts."""
        return np.array([self._numbers(column) for column in columns], dtype=np.float64).T

    def _numbers(self, column: int) -> list[float]:
        texts = self.table[column]
        commas = any("," in text for text in texts) and not any("." in text for text in texts)
        if commas and "decimal commas" not in self.said:
            self.said.append("decimal commas")
        values = [_number(text.replace(",", ".", 1) if commas else text) for text in texts]
        name = self.table.header[column]
        if "%" in name and not name.startswith(SCORE):  # which a class may be called
            values = [value / 100 for value in values]
        for line, text, value in zip(self.table.lines, texts, values, strict=True):
            if not math.isfinite(value):
                raise InputError(f"line {line}: {name} must be a finite number, got {text!r}")
        return values

    def is_numeric(self, column: int) -> bool:
        """Return whether the column holds finite numbers only."""
        texts = self.table[column]
        return all(math.isfinite(_number(text.replace(",", ".", 1))) for text in texts)

    def name(self, columns: Iterable[int]) -> str:
        """Return the names of columns, for a message."""
        return ", ".join(repr(self.table.header[column]) for column in list(columns)[:SHOWN])


def _number(text: str) -> float:
    """Return the number that a text is, perhaps in percent; NaN for other texts."""
    return to_float(text[:-1]) / 100 if text.endswith("%") else to_float(text)


def find_scores(asked: Question) -> ClassScores | None:
    """Return the scores, from the first kind of columns that there is.

    Raises InputError for scores of some classes only, and for what may be of either class.
    """
    for find in (_ours, _worded, _bare, _listed, _lone):
        scores = find(asked)
        if scores is not None:
            if find is not _ours and asked.guess is not None:
                _count_disagreements(scores, asked.guess, asked.said)
            return scores
    return None


def _ours(asked: Question) -> ClassScores | None:
    """Return the scores of columns score_<class>, which name all classes."""
    names = asked.table.header
    declared = {names[c].removeprefix(SCORE) for c in asked.rest if names[c].startswith(SCORE)}
    if not declared & {*asked.labels}:
        return None
    classes = tuple(sorted({*declared, *asked.labels}))
    wanted = [f"{SCORE}{label}" for label in classes]
    if missing := [name for name in wanted if name not in names]:
        raise InputError(_incomplete(missing))
    values = asked.numbers(asked.table.named(name) for name in wanted)
    return ClassScores(classes, _probabilities(asked, values), named=True)


def _incomplete(names: Iterable[str]) -> str:
    return f"score columns are missing: {', '.join(names)}; give one for every class, or none"


def _worded(asked: Question) -> ClassScores | None:
    """Return the scores of columns such as prob_<class>, "P(<class>)" or <class>_prob."""
    groups = defaultdict[tuple[str, str], dict[str, int]](dict)
    for column in asked.rest:
        for pattern in PATTERNS:
            if match := pattern.fullmatch(asked.table.header[column].strip("% ")):
                groups[pattern.pattern, plain_name(match["word"])][match["label"]] = column
    for (_, word), group in groups.items():
        if scores := _grouped(asked, word, group):
            return scores
    return None


def _grouped(asked: Question, word: str, group: Mapping[str, int]) -> ClassScores | None:
    """Return the scores of columns alike, each with a text that may be a class or its number."""
    matched = _match(asked.labels, group)
    if len(matched) == len(asked.labels):
        others = {text: c for text, c in group.items() if c not in matched.values()}
        return _of_group(asked, matched, others, logits=word.startswith("logit"))
    if matched and len(asked.labels) == 2:
        return _of_class(asked, *matched.items())
    if matched:
        raise InputError(_incomplete(f"{word}_{x}" for x in asked.labels if x not in matched))
    numbers = [str(index) for index in range(len(asked.labels))]
    if {*group} != {*numbers}:
        return None
    columns = [group[number] for number in numbers]
    name, values = asked.name(columns), asked.numbers(columns)
    return _indexed(asked, values, name, logits=word.startswith("logit"))


def _match(labels: Iterable[str], texts: Mapping[str, int]) -> dict[str, int]:
    """Map the labels to the columns that name them, as they are written or else in spirit."""
    keys = {label_key(text): column for text, column in texts.items()}
    found = {label: texts.get(label, keys.get(label_key(label))) for label in labels}
    return {label: column for label, column in found.items() if column is not None}


def _bare(asked: Question) -> ClassScores | None:
    """Return the scores of columns that are named as the classes are."""
    names = {c: asked.table.header[c] for c in reversed(asked.rest)}
    plain = {name.strip("% "): c for c, name in names.items() if "%" in name}
    matched = _match(asked.labels, plain | {name: c for c, name in names.items()})
    if not any(map(asked.is_numeric, matched.values())):
        return None
    if len(matched) == len(asked.labels):
        return _of_group(asked, matched, {}, logits=False)
    if not any(value % 1 for value in asked.numbers(matched.values()).flat):
        return None  # numbers of classes under a number for a name, as pandas writes them
    if len(asked.labels) == 2:
        return _of_class(asked, *matched.items())
    raise InputError(_incomplete(label for label in asked.labels if label not in matched))


def _of_group(
    asked: Question, matched: Mapping[str, int], others: Mapping[str, int], *, logits: bool
) -> ClassScores:
    """Return the scores of a column for each class.

    `others` are columns of the same form, of classes that never occur. Where there are none, and
    the sum is not 1, the columns around may be of such classes: if they make it 1.
    """
    asked.said.append(f"scores are {asked.name(matched.values())}")
    one = _sum_to_one(asked.numbers(matched.values()))
    free = others if others or one else _around(asked, [*matched.values()])
    more = {t: c for t, c in free.items() if c not in matched.values() and asked.is_numeric(c)}
    whole = _sum_to_one(asked.numbers((*matched.values(), *more.values())))
    taken = {**more, **matched} if whole or (others and not one) else matched
    classes = tuple(sorted(taken))
    values = asked.numbers(taken[name] for name in classes)
    return ClassScores(classes, _probabilities(asked, values, logits=logits), named=True)


def _around(asked: Question, columns: Sequence[int]) -> dict[str, int]:
    """Return the fewest neighboring columns, with these among them, whose sum is 1; else none."""
    low, high = min(columns), max(columns)
    run = [c for c in range(len(asked.table.header)) if c in asked.rest and asked.is_numeric(c)]
    first = dict(zip(run, asked.numbers(run)[0].tolist(), strict=True))
    windows = [
        run[start:end]
        for start, column in enumerate(run)
        if column <= low
        for end in range(start + 1, len(run) + 1)
        if run[end - 1] >= high
    ]
    for window in sorted(windows, key=len):
        near = abs(sum(first[column] for column in window) - 1) <= TOLERANCE
        if near and _sum_to_one(asked.numbers(window)):
            return {asked.table.header[column]: column for column in window}
    return {}


def _of_class(asked: Question, item: tuple[str, int]) -> ClassScores:
    """Return the scores of two classes, of which one has a column."""
    label, column = item
    values = _sure(asked, column)
    asked.said.append(f"{asked.name([column])} is the probability of {label!r}")
    return ClassScores(asked.labels, _both(values, asked.labels.index(label)), named=True)


def _both(values: Floats, column: int) -> Floats:
    return np.stack([1 - values, values] if column else [values, 1 - values], axis=1)


def _sure(asked: Question, column: int) -> Floats:
    """Return one probability an image [N]."""
    values = asked.numbers([column])[:, 0]
    if ((values >= 0) & (values <= 1)).all():
        return values
    if asked.columns.logits or "logit" in asked.table.plain[column]:
        asked.said.append(f"{asked.name([column])} is a logit")
        return np.asarray(0.5 * (1 + np.tanh(values / 2)))
    wrong = values[(values < 0) | (values > 1)][0]
    raise InputError(
        f"{asked.name([column])} must be a probability, got {wrong}; if it is a logit, add "
        "--logits, else remove the column"
    )


def _sum_to_one(values: Floats) -> bool:
    near = np.abs(values.sum(axis=1) - 1) <= TOLERANCE
    return bool((near & (values >= 0).all(axis=1)).all())


def _probabilities(asked: Question, values: Floats, *, logits: bool = False) -> Floats:
    if _sum_to_one(values) or not (logits or asked.columns.logits):
        return values
    asked.said.append("scores are logits")
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _listed(asked: Question) -> ClassScores | None:
    """Return the scores of a column that holds a list for each image."""
    for column in asked.rest:
        texts = asked.table[column]
        if not all(text.startswith("[") and text.endswith("]") for text in texts):
            continue
        rows = [[to_float(part) for part in re.split(r"[\s,]+", t[1:-1].strip())] for t in texts]
        if all(len(row) == len(asked.labels) and all(map(math.isfinite, row)) for row in rows):
            logits = "logit" in asked.table.plain[column]
            return _indexed(asked, np.array(rows), asked.name([column]), logits=logits)
    return None


def _indexed(asked: Question, values: Floats, name: str, *, logits: bool) -> ClassScores | None:
    """Return scores whose classes the predictions tell: they are those with the highest score."""
    order = _order(values.argmax(axis=1).tolist(), asked.guess or (), asked.labels)
    if order is None:
        asked.said.append(f"{name} not used: it is not clear which score is of which class")
        return None
    listed = ", ".join(map(repr, order))
    asked.said.append(f"the classes of {name} are {listed}, as predicted")
    sorted_values = values[:, [order.index(label) for label in asked.labels]]
    return ClassScores(asked.labels, _probabilities(asked, sorted_values, logits=logits))


def _order(
    top: Sequence[int], guess: Sequence[str], labels: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the class of each position, None where the predictions do not tell all but one."""
    pairs = {*zip(top, guess, strict=False)}
    known = dict(pairs)
    if len(known) < len(pairs) or len({*known.values()}) < len(pairs):
        return None
    rest = [label for label in labels if label not in known.values()]
    if len(rest) > 1:
        return None
    return tuple(known.get(position, *rest[:1]) for position in range(len(labels)))


def _lone(asked: Question) -> ClassScores | None:
    """Return the scores of two classes from one column: of a class, or of the predicted one."""
    rest = [column for column in asked.lone if asked.is_numeric(column)]
    if not rest:
        return None
    if len(asked.labels) != 2 or len(rest) > 1:
        what = "two classes" if len(asked.labels) == 2 else f"{len(asked.labels)} classes"
        asked.said.append(f"{asked.name(rest)} not used: scores of {what} take a column for each")
        return None
    values, name = _sure(asked, rest[0]), asked.name(rest)
    if asked.guess is None:
        if asked.doubt and (values >= 0.5).all():
            raise InputError(unclear(asked.doubt))
        label = _positive(asked, name)
    else:
        predicted = np.array([asked.labels.index(label) for label in asked.guess])
        first, second = values[predicted == 0], values[predicted == 1]
        owners = [
            min(mine, default=0) > max(other, default=1)
            for mine, other in ((first, second), (second, first))
        ]
        sure = (values >= 0.5).all()
        if sure and (not any(owners) or "conf" in asked.table.plain[rest[0]]):
            asked.said.append(f"{name} is the probability of the predicted class")
            return ClassScores(asked.labels, _both(np.where(predicted, values, 1 - values), 1))
        if sure or not any(owners):
            asked.said.append(f"{name} not used: it may be of a class or of the predicted one")
            return None
        label = asked.labels[owners.index(True)]
    asked.said.append(f"{name} is the probability of {label!r}")
    return ClassScores(asked.labels, _both(values, asked.labels.index(label)))


def _positive(asked: Question, name: str) -> str:
    if asked.columns.positive in asked.labels:
        return str(asked.columns.positive)
    if {label_key(label) for label in asked.labels} in POSITIVE:
        return asked.labels[-1]
    one, other = asked.labels
    raise InputError(
        f"{name} may be the probability of {one!r} or of {other!r}; say of which with --positive"
    )


def unclear(name: str) -> str:
    """Return the message that it is not clear what the classes in this column are."""
    return (
        f"{name!r} may be the actual or the predicted class; if it is the actual one, add "
        f"--actual {name}, else add a column with the actual ones"
    )


def highest(scores: ClassScores, said: list[str]) -> tuple[str, ...]:
    """Return the class with the highest score of each image."""
    said.append("predicted is the class with the highest score")
    if ties := int(((scores.values == scores.values.max(1, keepdims=True)).sum(1) > 1).sum()):
        said.append(f"of {ties} ties the first class")
    return tuple(scores.classes[index] for index in scores.values.argmax(axis=1))


def _count_disagreements(scores: ClassScores, guess: Sequence[str], said: list[str]) -> None:
    top = [scores.classes[index] for index in scores.values.argmax(axis=1)]
    differing = sum(one != other for one, other in zip(top, guess, strict=True))
    if differing:
        said.append(f"in {differing} of {len(guess)} rows another class has the highest score")


_WORD = "|".join(sorted((word.replace("_", "[ _.]?") for word in WORDS), key=len, reverse=True))
PATTERNS = (
    re.compile(rf"[\W_]*(?P<word>{_WORD})\s*[\s_.:/([-]\s*(?P<label>.+?)\s*[)\]]?$", re.IGNORECASE),
    re.compile(rf"(?P<word>{_WORD})(?P<label>\d+)", re.IGNORECASE),
    re.compile(rf"(?P<label>.+?)[\s_.:/-]+(?P<word>{_WORD})", re.IGNORECASE),
)
"""Names of the columns of scores that hold a word and the class."""
