"""Tables of labels, as people and annotation tools write them, for mutants."""

import json
from pathlib import Path, PurePosixPath

from toolkit.datasets.tables.labels import find_labels

IMAGES = [PurePosixPath(f"{folder}/{n}.jpg") for folder in ("train", "test") for n in range(9)]
SPLITS = {"train": "train", "val": "valid", "test": "test"}
COCO = {
    "images": [{"id": n, "file_name": f"test/{n}.jpg"} for n in range(9)],
    "annotations": [{"image_id": n, "category_id": n % 2} for n in range(9)],
    "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}],
}
LABEL_STUDIO = [
    {
        "data": {"image": f"/data/local-files/?d=photos/test/{n}.jpg", "patient": n // 2},
        "annotations": [{"result": [{"from_name": "x", "value": {"choices": ["ab"[n % 2]]}}]}],
    }
    for n in range(9)
]
CSV = (
    "patient,image,label\n" + "".join(f"{n},test/{n},{'ab'[n % 2]}\n" for n in range(9)),
    "\ufeff;file;split;a;b\r\n"
    + "".join(f"{n};C:\\test\\{n}.JPG;val;{n % 2}.0;{1 - n % 2}.0\r\n" for n in range(9)),
    "".join(f"train/{n}.jpg {n % 2}\n" for n in range(9)),
)
JSON_LINES = "".join(f'{{"file_name": "train/{n}.jpg", "label": {n % 2}}}\n' for n in range(9))
FILES = {
    "labels.csv": [text.encode() for text in CSV],
    "labels.jsonl": [JSON_LINES.encode()],
    "labels.json": [json.dumps(content).encode() for content in (COCO, LABEL_STUDIO)],
}


def read(name: str, data: bytes, _folder: Path) -> None:
    """Read a table of labels, of which every row is that of an image."""
    found = find_labels(
        [PurePosixPath(name)],
        IMAGES,
        lambda _path: data,
        {"labels": name},
        lambda names: {n: SPLITS[n] for n in names if n in SPLITS},
    )
    assert found is not None
    assert found.rows.keys() <= set(IMAGES)
    assert all(row.label for row in found.rows.values()) or not found.columns.labels
