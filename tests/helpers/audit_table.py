"""How many problems planted among drawn faces the audit finds, and what it flags wrongly.

python -m tests.helpers.audit_table [--pictures 300] [--photos face-mask.zip] [--peer]

With --photos the same duplicates are planted among the photos of a zip; --peer (pip install
imagehash) searches for them with a perceptual hash as well.
"""

import argparse
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers import audits, planted
from toolkit.checks import hashing, neighbors
from toolkit.datasets import folders
from toolkit.datasets.faces import draw
from toolkit.errors import InputError
from toolkit.io import images

SIDE = 96
MAX_BITS = 8  # of 64 that may differ, as is usual


def faces(count: int, seed: int = 0) -> list[planted.Picture]:
    """Draw faces of both classes, in turn."""
    labels = draw.LABELS
    return [
        Image.fromarray(draw.draw_face(labels[k % 2], k, size=SIDE, seed=seed))
        for k in range(count)
    ]


# --- duplicates -------------------------------------------------------------------------------


def near_duplicates(pictures: Sequence[planted.Picture]) -> set[tuple[int, int]]:
    """Return the pairs of pictures that the audit calls near-duplicates."""
    descriptors = np.stack([hashing.descriptor(picture) for picture in pictures])
    pairs = neighbors.find_pairs(descriptors.__getitem__, len(descriptors), 0.95)
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def recall(pictures: Sequence[planted.Picture], chosen: Sequence[int]) -> dict[str, float]:
    """Return for each kind of copy how many of the chosen pictures are found with their copy."""
    recalls = {}
    for kind, change in planted.COPIES.items():
        pairs = near_duplicates([*pictures, *(change(pictures[k]) for k in chosen)])
        hits = [(k, len(pictures) + n) in pairs for n, k in enumerate(chosen)]
        recalls[kind] = float(np.mean(hits))
    return recalls


def phash_recall(
    pictures: Sequence[planted.Picture], chosen: Sequence[int]
) -> tuple[dict[str, float], int]:
    """Return the same for ImageHash's pHash, all pairs, and its near-duplicates among pictures."""
    import imagehash

    def bits(picture: planted.Picture) -> np.ndarray:
        return imagehash.phash(picture).hash.ravel()

    rows = np.array([bits(picture) for picture in pictures])
    near = [
        int((np.sum(row != rows[k + 1 :], axis=1) <= MAX_BITS).sum()) for k, row in enumerate(rows)
    ]
    recalls = {
        kind: float(
            np.mean([np.sum(bits(change(pictures[k])) != rows[k]) <= MAX_BITS for k in chosen])
        )
        for kind, change in planted.COPIES.items()
    }
    return recalls, sum(near)


# --- files ------------------------------------------------------------------------------------


def flagged_rates(
    folder: Path, pictures: Sequence[planted.Picture], each: int
) -> dict[str, tuple[float, float]]:
    """Return for each check the fraction of its planted files that it flags, and of sound ones."""
    for number, picture in enumerate(pictures):
        audits.put(folder / "ab"[number % 2] / f"sound{number}.png", planted.png(picture))
    for check, change in planted.FILES.items():
        for number in range(each):
            audits.put(folder / "a" / f"{check}{number}.png", change(pictures[number]))
    flagged = audits.flagged(audits.run(folder))
    rates = {}
    for check in planted.FILES:
        names = [path.split("/")[1] for path in flagged.get(check, [])]
        hits = sum(name.startswith(check) for name in names)
        rates[check] = hits / each, sum(n.startswith("sound") for n in names) / len(pictures)
    return rates


def found_shortcuts(folder: Path, pictures: Sequence[planted.Picture]) -> dict[str, bool]:
    """Return whether each property of one class is found; "none" is a folder without any."""
    results = {}
    for kind, change in {"none": planted.png, **planted.SHORTCUTS}.items():
        for number, picture in enumerate(pictures):
            data = change(picture) if number % 2 else planted.png(picture)
            audits.put(folder / kind / "ab"[number % 2] / f"{number}.png", data)
        results[kind] = bool(audits.run(folder / kind).findings_of("shortcuts"))
        shutil.rmtree(folder / kind)
    return results


# --- the tables -------------------------------------------------------------------------------


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    drawn = faces(options.pictures)
    sets = {"drawn faces": drawn}
    if options.photos:
        sets["photos"] = photos(options.photos)
    _print_recall(sets, options.pictures, options.peer)
    with tempfile.TemporaryDirectory() as folder:
        rates = flagged_rates(Path(folder) / "files", drawn, options.pictures // 3)
        print_table(
            ("check", "planted files flagged", "sound files flagged"),
            ((name, f"{hit:.1%}", f"{wrong:.1%}") for name, (hit, wrong) in rates.items()),
        )
        results = found_shortcuts(Path(folder), drawn)
        rows = ((kind, "yes" if value else "no") for kind, value in results.items())
        print_table(("planted shortcut", "found"), rows)


def _print_recall(sets: dict[str, list[planted.Picture]], count: int, peer: bool) -> None:
    columns: dict[str, dict[str, str]] = {}
    for name, pictures in sets.items():
        chosen = np.random.default_rng(0).permutation(len(pictures))[:count].tolist()
        recalls, pairs = recall(pictures, chosen), len(near_duplicates(pictures))
        columns[name] = _column(recalls, pairs, len(pictures))
        if peer:
            columns[f"{name}, pHash"] = _column(*phash_recall(pictures, chosen), len(pictures))
    rows = next(iter(columns.values()))
    print_table(
        ("copy", *columns), ((kind, *(of[kind] for of in columns.values())) for kind in rows)
    )


def _column(recalls: dict[str, float], near: int, pictures: int) -> dict[str, str]:
    pairs = pictures * (pictures - 1) // 2
    cells = {kind: f"{value:.1%}" for kind, value in recalls.items()}
    return cells | {"all pairs of files": f"{pairs:,}", "called near-duplicates": f"{near:,}"}


def photos(archive: Path) -> list[planted.Picture]:
    """Return the readable images of a zip, reduced to 256 px."""
    pictures = []
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        for path in folders.list_tree(Path(folder))[0]:
            try:
                picture = images.read_picture(Path(folder) / path)
            except InputError:
                continue
            picture.thumbnail((256, 256))
            pictures.append(picture)
    return pictures


def print_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table as Markdown."""
    cells = list(header)
    for line in (cells, ["---"] * len(cells), *rows):
        sys.stdout.write(f"| {' | '.join(line)} |\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
