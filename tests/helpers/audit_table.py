"""How much of what is planted in drawn faces the audit finds, and what it flags wrongly.

python -m tests.helpers.audit_table [--pictures 300] [--photos face-mask.zip] [--peer]

With --photos the same copies are planted among the photos of a zip; --peer (pip install imagehash)
looks for them with a perceptual hash as well.
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
HASHED = 8  # bits of 64 that may differ, as is usual


def faces(count: int, seed: int = 0) -> list[planted.Picture]:
    """Drawn faces of both classes, in turn."""
    labels = draw.LABELS
    return [
        Image.fromarray(draw.draw_face(labels[k % 2], k, size=SIDE, seed=seed))
        for k in range(count)
    ]


# --- copies -----------------------------------------------------------------------------------


def found(pictures: Sequence[planted.Picture]) -> set[tuple[int, int]]:
    """The pairs of pictures that are called one picture."""
    copies = np.stack([hashing.descriptor(picture) for picture in pictures])
    pairs = neighbors.find_pairs(copies.__getitem__, len(copies), 0.95)
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


def copies(pictures: Sequence[planted.Picture], chosen: Sequence[int]) -> dict[str, float]:
    """Kind of copy -> the share of the chosen pictures whose copy is found among all pictures."""
    recall = {}
    for kind, change in planted.COPIES.items():
        pairs = found([*pictures, *(change(pictures[k]) for k in chosen)])
        hits = [(k, len(pictures) + n) in pairs for n, k in enumerate(chosen)]
        recall[kind] = float(np.mean(hits))
    return recall


def hashed(
    pictures: Sequence[planted.Picture], chosen: Sequence[int]
) -> tuple[dict[str, float], int]:
    """The same with ImageHash's pHash, all pairs; and how many pairs of pictures it calls one."""
    import imagehash

    def bits(picture: planted.Picture) -> np.ndarray:
        return imagehash.phash(picture).hash.ravel()

    own = np.array([bits(picture) for picture in pictures])
    near = [int((np.sum(row != own[k + 1 :], axis=1) <= HASHED).sum()) for k, row in enumerate(own)]
    recall = {
        kind: float(
            np.mean([np.sum(bits(change(pictures[k])) != own[k]) <= HASHED for k in chosen])
        )
        for kind, change in planted.COPIES.items()
    }
    return recall, sum(near)


# --- files ------------------------------------------------------------------------------------


def files(
    folder: Path, pictures: Sequence[planted.Picture], each: int
) -> dict[str, tuple[float, float]]:
    """Check -> the share of its planted files that it flags, and of the sound ones."""
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


def shortcuts(folder: Path, pictures: Sequence[planted.Picture]) -> dict[str, bool]:
    """Property -> whether it is found where one class of the pictures has it; "none": in none."""
    told = {}
    for kind, change in {"none": planted.png, **planted.SHORTCUTS}.items():
        for number, picture in enumerate(pictures):
            data = change(picture) if number % 2 else planted.png(picture)
            audits.put(folder / kind / "ab"[number % 2] / f"{number}.png", data)
        told[kind] = "shortcuts" in {f.check for f in audits.run(folder / kind).findings}
        shutil.rmtree(folder / kind)
    return told


# --- the tables -------------------------------------------------------------------------------


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--peer", action="store_true")
    given = parser.parse_args()
    drawn = faces(given.pictures)
    sets = {"drawn faces": drawn}
    if given.photos:
        sets["photos"] = photos(given.photos)
    _copies(sets, given.pictures, given.peer)
    with tempfile.TemporaryDirectory() as folder:
        rates = files(Path(folder) / "files", drawn, given.pictures // 3)
        table(
            ("check", "planted files flagged", "sound files flagged"),
            ((name, f"{hit:.1%}", f"{wrong:.1%}") for name, (hit, wrong) in rates.items()),
        )
        told = shortcuts(Path(folder), drawn)
        table(("shortcut planted", "told"), ((k, "yes" if v else "no") for k, v in told.items()))


def _copies(sets: dict[str, list[planted.Picture]], count: int, peer: bool) -> None:
    columns: dict[str, dict[str, str]] = {}
    for name, pictures in sets.items():
        chosen = np.random.default_rng(0).permutation(len(pictures))[:count].tolist()
        recall, alarms = copies(pictures, chosen), len(found(pictures))
        columns[name] = _column(recall, alarms, len(pictures))
        if peer:
            columns[f"{name}, pHash"] = _column(*hashed(pictures, chosen), len(pictures))
    rows = next(iter(columns.values()))
    table(("copy", *columns), ((kind, *(of[kind] for of in columns.values())) for kind in rows))


def _column(recall: dict[str, float], alarms: int, pictures: int) -> dict[str, str]:
    pairs = pictures * (pictures - 1) // 2
    cells = {kind: f"{share:.1%}" for kind, share in recall.items()}
    return cells | {"pairs of files, all": f"{pairs:,}", "of them called one": f"{alarms:,}"}


def photos(archive: Path) -> list[planted.Picture]:
    """The images of a zip that can be read, reduced to 256 px."""
    pictures = []
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
        for path in folders.walk(Path(folder))[0]:
            try:
                picture = images.read_picture(Path(folder) / path)
            except InputError:
                continue
            picture.thumbnail((256, 256))
            pictures.append(picture)
    return pictures


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print it as markdown."""
    cells = list(header)
    for line in (cells, ["---"] * len(cells), *rows):
        sys.stdout.write(f"| {' | '.join(line)} |\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
