"""Fuzz every kind of file and print the outcomes: python -m tests.fuzz [--long]."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tests.fuzz import mutants, paths, uploads, worst
from tests.helpers.naughty import TEXTS
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import images, manifest, sandbox

UNDAMAGED = 200  # images among the mutants
UPLOADS = 1000
LINKS = {"out": "/etc/passwd", "loop": "loop", "gone": "nowhere", "up": ".."}


def main() -> None:
    """Fuzz every kind, then audit a folder of mutants; exit with 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10,000 mutants of each kind: minutes")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; repeatable")
    arguments = parser.parse_args()
    count = 10_000 if arguments.long else 500
    chosen = arguments.part or [name for name in PARTS if arguments.long or name not in LONG]
    with tempfile.TemporaryDirectory() as root:
        wrong = sum(PARTS[name](Path(root), count) for name in chosen)
    sys.exit(bool(wrong))


def _all_kinds(root: Path, count: int) -> int:
    header = ("kind", "mutants", "read", "refused with one error", "slowest, s", "anything else")
    return _table(header, _kinds(root, count))


def _hostile_paths(root: Path, count: int) -> int:
    header = ("hostile paths", "tried", "taken", "refused", "anything else")
    return _table(header, paths.measure(root / "paths", count))


def _largest(_root: Path, _count: int) -> int:
    return _table(("file", "bytes", "outcome", "s", "peak, MB", "too much"), worst.measure())


def _serve(root: Path, _count: int) -> int:
    header = ("uploads", "sent", "predicted", "refused", "no answer", "slowest, s", "anything else")
    return _table(header, uploads.measure(root / "serve", UPLOADS))


def _kinds(root: Path, count: int) -> Iterable[list[object]]:
    for name, kind in mutants.kinds(root / "kinds").items():
        outcomes = list(mutants.outcomes(kind, count, root / name, workers=2))
        counts = Counter(outcome.what for outcome in outcomes)
        errors = [what for what in counts.elements() if what not in ("read", "refused")]
        sys.stderr.writelines(f"{name}: {what}\n" for what in errors)
        slowest = max(outcome.seconds for outcome in outcomes)
        yield [name, count, counts["read"], counts["refused"], f"{slowest:.2f}", len(errors)]


def _folder(place: Path, count: int) -> int:
    """Audit a folder of mutants, links, pipes and undamaged images with the command."""
    root = place / "a folder"
    undamaged = _fill(root, 3 * count)
    files = [path for path in root.rglob("*") if path.is_symlink() or not path.is_dir()]
    start = time.monotonic()
    output = root.parent / "audit.json"
    command = [sys.executable, "-m", "toolkit", "audit", str(root), "--output", str(output), "-q"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=root.parent)
    _, status, used = os.wait4(process.pid, 0)  # of this command and its workers
    wall, peak = time.monotonic() - start, used.ru_maxrss / 1000
    if status:
        return 1
    table = folders.scan(root)
    by_id = {sample.id: sample.path for sample in table.samples}
    findings = json.loads(output.read_text(encoding="utf-8"))["findings"]
    dropped = {by_id[ident] for finding in findings for ident in finding["drop"]}
    rejected = {entry["path"] for entry in table.notes["rejected"]}
    reported = {path for finding in findings for path in finding["paths"]}
    names = {path.relative_to(root).as_posix() for path in files}
    kept = [path for path in by_id.values() if path not in dropped]
    decoded = sandbox.sandboxed_map(_decodes, [root / path for path in kept], 2, chunksize=16)
    broken = {path for path, sound in zip(kept, decoded, strict=True) if sound is not True}
    counts = {
        "files": len(names),
        "images that decode": len(by_id) - len(dropped),
        "left out": len(rejected | dropped),
        "neither of the two": len(names - set(by_id.values()) - rejected),
        "left out without a finding": len((rejected | dropped) - reported),
        "kept but not decodable": len(broken),
        "undamaged images": len(undamaged),
        "undamaged images left out": len(undamaged & (dropped | rejected)),
        "wall, s": round(wall),
        "peak of the largest process, MB": round(peak),
    }
    _table(("a folder through `toolkit audit`", ""), counts.items())
    errors = ("neither of the two", "left out without a finding", "kept but not decodable")
    return sum(counts[name] for name in (*errors, "undamaged images left out"))


def _fill(root: Path, count: int) -> set[str]:
    kind = mutants.kinds(root.parent / "kinds")["image"]
    rng, undamaged = np.random.default_rng(2), set()
    for label in ("a", "=b"):
        (root / label).mkdir(parents=True)
        for name, target in LINKS.items():
            (root / label / name).symlink_to(target)
        os.mkfifo(root / label / "pipe")
        (root / label / "empty.png").touch()
    for number in range(count):
        (root / "a" / f"{number}.png").write_bytes(mutants.mutant(kind, number))
    for number in range(UNDAMAGED):
        name = TEXTS[number % len(TEXTS)]
        name = name if number < len(TEXTS) and manifest.is_file_name(name) else f"{number}.jpg"
        data = images.encode_png(images.to_pixels(mutants.picture(rng, 64)))
        path = f"=b/{name}" if not name.startswith(("~", ".")) else f"=b/{number}"
        (root / path).write_bytes(data)
        undamaged.add(path)
    return undamaged


def _decodes(path: Path) -> bool:
    try:
        images.read_image(path)
    except InputError:
        return False
    return True


PARTS: dict[str, Callable[[Path, int], int]] = {
    "kinds": _all_kinds,
    "paths": _hostile_paths,
    "largest": _largest,
    "folder": _folder,
    "serve": _serve,
}
LONG = ("largest", "serve")
"""Those only in a long run, unless they are asked for."""


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> int:
    """Print a table and return the sum of its last column, which counts errors."""
    cells, wrong = list(header), 0
    for line in itertools.chain((cells, ["---"] * len(cells)), map(list, rows)):
        sys.stdout.write(f"| {' | '.join(map(str, line))} |\n")
        sys.stdout.flush()
        wrong += line[-1] if len(line) > 2 and isinstance(line[-1], int) else 0
    sys.stdout.write("\n")
    return wrong


if __name__ == "__main__":
    main()
