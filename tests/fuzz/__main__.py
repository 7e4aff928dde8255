"""Try thousands of mutants and print what came of them: python -m tests.fuzz [--long]."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.fuzz import mutants, worst
from tests.helpers.naughty import TEXTS
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import images, manifest

GOOD = 200  # sound pictures among the mutants
LINKS = {"out": "/etc/passwd", "loop": "loop", "gone": "nowhere", "up": ".."}


def main() -> None:
    """Try every kind, then a folder of all; ends with 1 where anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10,000 mutants a kind: minutes")
    given = parser.parse_args()
    count = 10_000 if given.long else 500
    with tempfile.TemporaryDirectory() as root:
        wrong = _table(
            ("kind", "mutants", "read", "refused with one error", "slowest, s", "anything else"),
            _kinds(Path(root), count),
        )
        if given.long:
            wrong += _table(("file", "bytes", "end", "s", "peak, MB", "over"), worst.measured())
        wrong += _folder(Path(root) / "a folder", 3 * count)
    sys.exit(bool(wrong))


def _kinds(root: Path, count: int) -> Iterable[list[object]]:
    for name, kind in mutants.kinds(root / "kinds").items():
        found = list(mutants.outcomes(kind, count, root / name, workers=2))
        number = Counter(one.what for one in found)
        odd = [one.what for one in found if one.what not in ("read", "refused")]
        sys.stderr.writelines(f"{name}: {what}\n" for what in odd)
        slowest = max(one.seconds for one in found)
        yield [name, count, number["read"], number["refused"], f"{slowest:.2f}", len(odd)]


def _folder(root: Path, count: int) -> int:
    """Audit a folder of mutants, links, pipes and sound pictures, as a person would."""
    sound = _fill(root, count)
    files = [path for path in root.rglob("*") if path.is_symlink() or not path.is_dir()]
    start = time.monotonic()
    output = root.parent / "audit.json"
    command = [sys.executable, "-m", "toolkit", "audit", str(root), "--output", str(output), "-q"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=root.parent)
    _, status, used = os.wait4(process.pid, 0)  # of this process and its workers alone
    wall, peak = time.monotonic() - start, used.ru_maxrss / 1000
    if status:
        return 1
    table = folders.scan(root)
    by_id = {sample.id: sample.path for sample in table.samples}
    findings = json.loads(output.read_text(encoding="utf-8"))["findings"]
    lost = {by_id[ident] for finding in findings for ident in finding["drop"]}
    rejected = {entry["path"] for entry in table.notes["rejected"]}
    told = {path for finding in findings for path in finding["paths"]}
    names = {path.relative_to(root).as_posix() for path in files}
    bad = {path for path in by_id.values() if path not in lost and not _decodes(root / path)}
    counts = {
        "files": len(names),
        "images that decode": len(by_id) - len(lost),
        "left out, each with its reason": len(rejected | lost),
        "neither": len(names - set(by_id.values()) - rejected),
        "left out without a finding": len((rejected | lost) - told),
        "kept though they do not decode": len(bad),
        "sound pictures": len(sound),
        "sound pictures lost": len(sound & (lost | rejected)),
        "wall, s": round(wall),
        "peak of the largest process, MB": round(peak),
    }
    _table(("a folder through `toolkit audit`", ""), counts.items())
    bad_ends = ("neither", "left out without a finding", "kept though they do not decode")
    return sum(counts[name] for name in (*bad_ends, "sound pictures lost"))


def _fill(root: Path, count: int) -> set[str]:
    kind = mutants.kinds(root.parent / "kinds")["image"]
    rng, sound = np.random.default_rng(2), set()
    for label in ("a", "=b"):
        (root / label).mkdir(parents=True)
        for name, target in LINKS.items():
            (root / label / name).symlink_to(target)
        os.mkfifo(root / label / "pipe")
        (root / label / "empty.png").touch()
    for number in range(count):
        (root / "a" / f"{number}.png").write_bytes(mutants.mutant(kind, number))
    for number in range(GOOD):
        name = TEXTS[number % len(TEXTS)]
        name = name if number < len(TEXTS) and manifest.is_file_name(name) else f"{number}.jpg"
        data = images.encode_png(images.to_pixels(mutants.picture(rng, 64)))
        path = f"=b/{name}" if not name.startswith(("~", ".")) else f"=b/{number}"
        (root / path).write_bytes(data)
        sound.add(path)
    return sound


def _decodes(path: Path) -> bool:
    try:
        images.read_image(path)
    except InputError:
        return False
    return True


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> int:
    """Print it; the sum of its last column, which counts what went wrong."""
    cells, wrong = list(header), 0
    for line in itertools.chain((cells, ["---"] * len(cells)), map(list, rows)):
        sys.stdout.write(f"| {' | '.join(map(str, line))} |\n")
        sys.stdout.flush()
        wrong += line[-1] if len(line) > 2 and isinstance(line[-1], int) else 0
    sys.stdout.write("\n")
    return wrong


if __name__ == "__main__":
    main()
