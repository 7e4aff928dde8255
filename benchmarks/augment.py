"""How fast `toolkit augment` makes new images, beside other libraries that do the same work.

    python benchmarks/augment.py [--quick | --shards] [--photos FOLDER] [--folder WORK]
                                 [--peers PATH]

Work: decode, resize to 128 x 128, one transform by the weights of the policy `homework`, write as
JPEG (quality 75, 4:2:0). Each measurement is a process of its own, from its start to its end, in a
new folder; ratios are to the first row. --photos: a folder of which 200 photos are taken evenly;
without it they are drawn. --peers: where optional libraries lie (`pip install --target PATH
--no-deps Augmentor imgaug tqdm`). --quick leaves out 30,000. --shards: instead, 300,000 new images
into 64 tar files, without a break and killed once; 5 GB of disk.
"""

import argparse
import compileall
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from costs import Cost, measure, start

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
PEERS = ("published way", "torchvision v2", "albumentations", "Augmentor", "imgaug")
OURS = {"toolkit": 1, "toolkit, 2 workers": 2}
TOOLKIT = (sys.executable, "-c", "from toolkit.cli.main import main; main()")  # as its script does
PHOTOS = 200
SHARDS = 64
SUFFIXES = (".jpg", ".jpeg", ".png")


def compile_all(places: Sequence[str]) -> None:
    """What pip does when it installs: else each process would compile the modules again."""
    for place in filter(None, places):
        found = Path(place) / "toolkit"
        compileall.compile_dir(found if found.is_dir() else place, quiet=2)


def command(name: str, photos: Path, output: Path, number: int, form: str) -> list[str]:
    """The command that makes `number` new images of the photos."""
    if name in OURS:
        arguments = ["augment", photos, "--output", output, "--only-new", "--quiet"]
        arguments += ["--target", number + len(list(photos.rglob("*.*"))), "--size", 128]
        arguments += ["--format", {"jpg": "jpeg", "png": "png"}[form], "--policy", "homework"]
        return [*TOOLKIT, *map(str, arguments), f"--workers={OURS[name]}"]
    script = Path(__file__).with_name("augment_peers.py")
    return [sys.executable, *map(str, (script, name, photos, output, number, form))]


def compare(
    names: Sequence[str], photos: Path, number: int, form: str, rounds: tuple[int, int], path: str
) -> dict[str, Cost]:
    """The median cost of each, measured in turns. `path`: where Python looks for modules.

    `rounds`: of a peer and of ours; what takes little time varies more.
    """
    work = photos.parent
    found: dict[str, list[Cost]] = {}
    for turn in range(max(rounds)):
        for name in [name for name in names if turn < rounds[name in OURS]]:
            output = work / f"{form}-{photos.name}-{number}-{turn}-{name.replace(' ', '-')}"
            cost = measure(command(name, photos, output, number, form), path, work)
            made = sum(path.suffix.lower() in SUFFIXES for path in output.rglob("*.*"))
            if cost is None or made < number:
                print(f"{name}: left out, it is not installed or fails here")
                names = [other for other in names if other != name]
                continue
            found.setdefault(name, []).append(cost)
    return {name: _median(found[name]) for name in names}


def _median(costs: Sequence[Cost]) -> Cost:
    columns = zip(*((c.wall, c.cpu, c.memory) for c in costs), strict=True)
    return Cost(*(statistics.median(column) for column in columns))


# --- tables -----------------------------------------------------------------------------------


def table(title: str, number: int, costs: dict[str, Cost]) -> None:
    """Print a table with ratios to the first row."""
    columns = "wall, s | ratio | CPU, ms an image | ratio | peak, MB"
    print(f"\n{title}\n\n| {number:,} new images | {columns} |\n| --- {'| ---: ' * 5}|")
    first = next(iter(costs.values()))
    for name, c in costs.items():
        wall, cpu = first.wall / c.wall, first.cpu / c.cpu
        cells = f"{c.wall:.2f} | {wall:.1f} | {1000 * c.cpu / number:.3f} | {cpu:.1f}"
        print(f"| {name} | {cells} | {c.memory:.0f} |")


def steady(few: int, many: int, one: dict[str, Cost], other: dict[str, Cost]) -> None:
    """What each image costs beyond the start: the difference of two sizes."""
    print(f"\nSteady state, from {few:,} to {many:,}\n\n| | wall, ms an image | CPU, ms an image |")
    print("| --- | ---: | ---: |")
    for name in (name for name in one if name in other):
        wall, cpu = other[name].wall - one[name].wall, other[name].cpu - one[name].cpu
        scale = 1000 / (many - few)
        print(f"| {name} | {scale * wall:.3f} | {scale * cpu:.3f} |")


# --- the limit --------------------------------------------------------------------------------


def in_a_worker(work: Callable[[], None]) -> None:
    """Do what decodes many images in one process, as `augment` does, and not in one for each."""
    from toolkit.io import sandbox

    def flushed(_: int) -> None:
        work()
        sys.stdout.flush()

    list(sandbox.sandboxed_map(flushed, [0], 1))


def limit(photos: Path, output: Path, work: Path, ours: Cost) -> None:
    """Print what the steps of a finished run cost alone, in bare loops over its plan."""
    from toolkit.augmentation import plan
    from toolkit.augmentation.transforms import compose
    from toolkit.io import images

    rows = plan.read_plan(output)
    files = {path.name: path for path in photos.rglob("*.*")}
    sources = _by_id(output, files)
    decode, parents = _timed(
        lambda: {i: images.decode_picture(p.read_bytes(), 128) for i, p in sources.items()}
    )
    distinct = {(r.parent, r.transform, str(r.params)): r for r in rows}
    change = encode = 0.0
    data = b""
    for row in distinct.values():
        change_it = partial(compose.apply_transform, row.transform, parents[row.parent], row.params)
        spent, made = _timed(change_it)
        change += spent
        if made is not parents[row.parent]:
            spent, data = _timed(partial(images.ENCODERS["jpeg"], made))
            encode += spent
    create = _creation(work / "bare", len(rows), data)
    number = len(rows)
    print(f"\nThe limit: the bare steps of those {number:,} images, CPU ms an image\n")
    print("| decode | transform | encode | create files | together | toolkit | share |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    steps = [1000 * s / number for s in (decode, change, encode, create)]
    total, each = sum(steps), 1000 * ours.cpu / number
    print(f"| {' | '.join(f'{s:.3f}' for s in (*steps, total, each))} | {total / each:.0%} |")
    steady_share = sum(steps[1:]) / each
    print(f"\nTransform, encode and write alone are {steady_share:.0%} of the toolkit's time.")
    print(f"\n{len(distinct):,} of {number:,} rows are distinct: equal ones are made once.")


def _by_id(output: Path, files: dict[str, Path]) -> dict[str, Path]:
    from toolkit.io import manifest

    samples = manifest.read_manifest(output).samples
    return {s.id: files[Path(s.path).name] for s in samples if not s.derived}


def _timed(step: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    result = step()
    return time.process_time() - began, result


def _creation(folder: Path, number: int, data: bytes) -> float:
    folder.mkdir()
    began = time.process_time()
    for k in range(number):
        file = os.open(f"{folder}/{k:06d}.jpg", os.O_WRONLY | os.O_CREAT, 0o666)
        os.write(file, data)
        os.close(file)
    return time.process_time() - began


def scaled(photos: Sequence[Path]) -> None:
    """Print what decoding JPEGs of over 1 megapixel at a part of their size gains and changes."""
    from PIL import ImageChops, ImageStat

    from toolkit.io import images

    full, part, differences = 0.0, 0.0, []
    for path in photos:
        data = path.read_bytes()
        slow, whole = _timed(lambda d=data: images.resize_picture(images.decode_picture(d), 128))
        fast, small = _timed(partial(images.decode_picture, data, 128))
        full, part = full + slow, part + fast
        mean = ImageStat.Stat(ImageChops.difference(whole, small)).mean
        differences.append(sum(mean) / 3)
    print(f"\nScaled decoding: {len(photos)} JPEG photos of over 1 megapixel, to 128 x 128\n")
    print("| | full | scaled | ratio |\n| --- | ---: | ---: | ---: |")
    each = 1000 / max(1, len(photos))
    print(f"| CPU, ms a photo | {each * full:.1f} | {each * part:.1f} | {full / part:.1f} |")
    mean, most = statistics.mean(differences), max(differences)
    print(f"\nMean difference to the full decode: {mean:.2f} grey levels, at most {most:.2f}.")


# --- shards -----------------------------------------------------------------------------------


def sharded(photos: Path, path: str, numbers: Sequence[int]) -> None:
    """Print what so many new images in shards take, and the last number when killed on the way."""
    work = photos.parent
    print(f"\n{SHARDS} shards, 2 workers\n\n| new images | wall, s | CPU, ms an image | peak, MB |")
    print("| ---: | ---: | ---: | ---: |")
    whole = Cost(0, 0, 0)
    for number in numbers:
        whole = measure(_into_shards(photos, work / f"{number}", number), path, work) or whole
        each = f"{1000 * whole.cpu / number:.3f}"
        print(f"| {number:,} | {whole.wall:.1f} | {each} | {whole.memory:.0f} |", flush=True)
    command = _into_shards(photos, work / "killed", numbers[-1])
    process = start(command, path, work)
    time.sleep(0.4 * whole.wall)
    process.kill()
    process.wait()
    kept = len(list((work / ".killed.building").glob("*.tar")))
    rest = measure(command, path, work)
    equal = _digests(work / "killed") == _digests(work / f"{numbers[-1]}")
    print(f"\nKilled after {0.4 * whole.wall:.0f} s, with {kept} shards begun or whole; run again:")
    print(f"{rest.wall if rest else 0:.1f} s. All files equal those of the unbroken run: {equal}.")


def _into_shards(photos: Path, output: Path, number: int) -> list[str]:
    name = "toolkit, 2 workers"
    return [*command(name, photos, output, number, "jpg"), "--shards", str(SHARDS)]


def _digests(folder: Path) -> dict[str, str]:
    def digest(path: Path) -> str:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    return {path.name: digest(path) for path in sorted(folder.iterdir())}


# --- photos -----------------------------------------------------------------------------------


def choose(folder: Path | None, output: Path, number: int) -> Path:
    """`number` photos in output/photo: evenly taken from the sorted files of a folder, or drawn."""
    (output / "photo").mkdir(parents=True)
    if folder is None:
        _draw(output / "photo", number)
        return output
    found = sorted(path for path in folder.rglob("*.*") if path.is_file())
    for k in range(number):
        path = found[k * len(found) // number]
        shutil.copy(path, output / "photo" / f"{k:04d}{path.suffix}")
    return output


def _draw(folder: Path, number: int) -> None:
    from toolkit.datasets.faces import draw
    from toolkit.io import images

    for k in range(number):
        pixels = draw.draw_face("with_mask", k, size=256, seed=0)
        (folder / f"{k:04d}.jpg").write_bytes(images.encode_jpeg(pixels, 90))


def large(folder: Path) -> list[Path]:
    """The first 60 JPEG photos of over 1 megapixel."""
    from toolkit.io import images

    found = []
    for path in sorted(folder.rglob("*.jp*g")):
        width, height = images.dimensions(path.read_bytes())
        if width * height > 1e6:
            found.append(path)
    return found[:60]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--shards", action="store_true")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--peers", default="")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compile_all([str(ROOT), *options.peers.split(":")])
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        run(options, Path(name))


def run(options: argparse.Namespace, work: Path) -> None:
    """Everything; what is written is removed at the end, for ext4 is slow after many removals."""
    photos, path = choose(options.photos, work / "photos", PHOTOS), f"{ROOT}:{options.peers}"
    if options.shards:
        sharded(photos, path, (100_000, 300_000))
        return
    names: Sequence[str] = [*PEERS, *OURS]
    sizes = {300: (3, 9), 3_000: (2, 5)} | ({} if options.quick else {30_000: (1, 3)})
    found: dict[int, dict[str, Cost]] = {}
    for number, rounds in sizes.items():
        found[number] = compare(names, photos, number, "jpg", rounds, path)
        names = list(found[number])
        table("JPEG, whole process", number, found[number])
    *_, few, many = sizes
    steady(few, many, found[few], found[many])
    output = work / f"jpg-photos-{many}-0-toolkit"
    in_a_worker(partial(limit, photos, output, work, found[many]["toolkit"]))
    once = choose(options.photos, work / "once", 1_000)
    costs = compare(names, once, 1_000, "jpg", (1, 3), path)
    table("JPEG, every parent used once", 1_000, costs)
    table("PNG", 3_000, compare(names, photos, 3_000, "png", (1, 3), path))
    if options.photos:
        in_a_worker(partial(scaled, large(options.photos)))


if __name__ == "__main__":
    main()
