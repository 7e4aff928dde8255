"""EXPORT_FORMATS: how a network becomes one file, and how such a file is run again."""

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from toolkit.errors import import_package

OPSET = 18
"""ONNX's version of the operators, of December 2022: older runtimes read it too."""
JIT: Any = torch.jit  # has no types
INPUT, OUTPUT = "images", "probabilities"

PixelBatch = npt.NDArray[np.uint8]
"""Images [N, size, size, 3]."""

ExportedModel = Callable[[PixelBatch], npt.NDArray[np.float32]]
"""Images to probabilities, [N, classes]."""


@dataclass(frozen=True)
class ExportFormat:
    """A kind of file: `write` takes a network, two images of its input and texts to store by name.

    `open` runs what `write` returned, and `package` is what does. Raises InputError where a
    package is missing.
    """

    file: str
    package: str
    write: Callable[[nn.Module, Tensor, Mapping[str, str]], bytes]
    open: Callable[[bytes], ExportedModel]


def _write_onnx(network: nn.Module, example: Tensor, notes: Mapping[str, str]) -> bytes:
    """Return the model without torch's notes on how it was made, which name files of the machine.

    torch's newer exporter takes every network; the older one is deprecated and refuses VGG16.
    """
    import_package("onnx")
    ir = import_package("onnxscript").ir
    with _quiet():
        program: Any = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("n")}},
        )
    model = program.model
    for node in model.graph.all_nodes():
        for part in (node, *node.outputs):
            part.metadata_props.clear()
    for part in (model.graph, *model.graph.inputs, *model.graph.initializers.values()):
        part.metadata_props.clear()
    model.metadata_props.clear()
    model.metadata_props.update(notes)
    data: bytes = ir.to_proto(model).SerializeToString(deterministic=True)
    return data


def _open_onnx(data: bytes) -> ExportedModel:
    runtime = import_package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # or the last digits depend on the machine's cores
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0])


def _write_torchscript(network: nn.Module, example: Tensor, notes: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with _quiet(), torch.inference_mode():
        JIT.save(JIT.trace(network, (example,)), stream, _extra_files=dict(notes))
    return _without_traces(stream)


def _without_traces(archive: io.BytesIO) -> bytes:
    """Return the archive without what names files of the machine: who called torch, for errors."""
    stream = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(stream, "w") as kept:
        for entry in source.infolist():
            if not entry.filename.endswith((".debug_pkl", "/.data/serialization_id")):
                kept.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))
    return stream.getvalue()


def _open_torchscript(data: bytes) -> ExportedModel:
    with _quiet():
        network = JIT.load(io.BytesIO(data), map_location="cpu")

    def run(images: PixelBatch) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images)).numpy())

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch says on its own code, and on shapes that are constants on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


EXPORT_FORMATS: dict[str, ExportFormat] = {
    "onnx": ExportFormat("model.onnx", "onnxruntime", _write_onnx, _open_onnx),
    "torchscript": ExportFormat("model.pt", "torch", _write_torchscript, _open_torchscript),
}
