"""Words in the names of files and folders: of splits, of folds, and those that tell nothing."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from toolkit.datasets.params import ReadParams
from toolkit.io.manifest import SPLITS

SPLIT_WORDS = {
    "train": "train", "training": "train", "trainval": "train", "trn": "train",
    "valid": "valid", "val": "valid", "validation": "valid", "validate": "valid",
    "dev": "dev", "development": "dev", "devel": "dev",
    "eval": "eval", "evaluation": "eval",
    "test": "test", "testing": "test", "tst": "test", "holdout": "test", "heldout": "test",
}  # fmt: skip
"""Words in names of splits; what dev and eval mean depends on what lies beside them."""
VEHICLES = ("train", "trains")
"""Names of classes too, where no other folder is one of a split."""
FOLD = re.compile(r"(fold|cv|split)[ _-]*\d+|\d+[ _-]*fold", re.IGNORECASE)
FILLERS = frozenset({
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo",
    "photos", "picture", "pictures", "jpg", "jpeg", "png", "split", "splits", "seg", "cls",
    "folder", "final", "mask", "masks",
})  # fmt: skip
"""Words in names of folders that tell neither split nor class."""
ASIDE = frozenset({
    "annotation", "annotations", "label", "labels", "doc", "docs", "code", "src", "script",
    "scripts", "meta", "metadata", "xml", "json", "csv", "txt", "log", "logs", "notebook",
    "notebooks", "paper", "papers", "readme", "utils", "tools", "config", "configs", "weights",
    "license", "licenses", "output", "outputs", "results", "models", "checkpoints", "runs", "tmp",
    "temp", "cache",
})  # fmt: skip
"""Words in names of folders that go with the images, if no image lies in them."""
NO_IMAGE = frozenset({
    ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml",
    ".html", ".htm", ".pdf", ".py", ".ipynb", ".zip", ".tar", ".gz", ".7z", ".rar", ".mat",
    ".npy", ".npz", ".h5", ".pkl", ".log", ".doc", ".docx", ".xls", ".xlsx", ".mp4", ".avi",
    ".mov", ".wav", ".mp3", ".pt", ".pth", ".onnx", ".parquet", ".arrow", ".tfrecord",
    ".tfrecords", ".lmdb", ".hdf5", ".bz2", ".xz", ".tgz",
})  # fmt: skip
"""Endings of files that are no images; any other file may be one."""
COMPOUND = re.compile(rf"\b({'|'.join(SPLIT_WORDS)})({'|'.join(FILLERS)})\b")
"""Two words in one: trainset."""


def may_be_image(path: PurePosixPath) -> bool:
    """Return whether a name is that of an image or tells nothing: none of NO_IMAGE, no README."""
    document = path.name.isalpha() and path.name.isupper()
    return path.suffix.lower() not in NO_IMAGE and not document


def name_words(name: str) -> list[str]:
    """Return the words in a name, without digits: TrainSet_2 -> train, set."""
    parted = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = " ".join(re.findall(r"[^\W\d_]+", parted.casefold()))
    return COMPOUND.sub(r"\1 \2", re.sub(r"\b(hold|held) out\b", r"\1out", words)).split()


def find_split_words(names: Sequence[str], settings: ReadParams) -> dict[str, str]:
    """Return those names that are of splits or folds, with their word: Training_set -> train.

    Beside the word there may only be ones that tell nothing, or the same in another name.
    """
    found, rests = dict[str, tuple[str, tuple[str, ...]]](), Counter[tuple[str, ...]]()
    for name in names:
        words = name_words(name)
        split = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
        rest = tuple(word for word in words if word not in SPLIT_WORDS and word not in FILLERS)
        if name in settings.split_names:
            found[name] = (settings.split_names[name], ())
        elif FOLD.fullmatch(name):
            found[name] = ("fold", ())
        elif len(split) == 1:
            found[name] = (split[0], rest)
            rests[rest] += 1
    return {name: word for name, (word, rest) in found.items() if not rest or rests[rest] > 1}


def name_splits(names: Iterable[str], settings: ReadParams) -> dict[str, str]:
    """Return those names that are of splits, with the split that each means; folds are none."""
    words = find_split_words(list(names), settings)
    return split_meanings({name: word for name, word in words.items() if word != "fold"})


def split_meanings(words: Mapping[str, str]) -> dict[str, str]:
    """Return the split that each name means, by all words that there are."""
    there = set(words.values())
    fixed = {
        "fold": "train",
        "dev": "valid" if there & {"train", "fold"} else "train",
        "eval": "valid" if "test" in there else "test",
    }
    meanings = {name: fixed.get(word, word) for name, word in words.items()}
    return dict(sorted(meanings.items(), key=lambda item: SPLITS.index(item[1])))


def find_alike(names: Sequence[str]) -> list[list[str]]:
    """Return names that differ in case, spaces, dashes or the form of Unicode alone, together."""
    alike = defaultdict[str, list[str]](list)
    for name in names:
        plain = unicodedata.normalize("NFKC", name).casefold()
        alike[re.sub(r"[\s_]+|(?<=\w)-(?=\w)", "", plain) or plain].append(name)
    return [same for same in alike.values() if len(same) > 1]
