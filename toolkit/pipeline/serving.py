"""The web application of `toolkit serve`: a page to drop photos on, and JSON for programs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from torch import nn

from toolkit.errors import InputError
from toolkit.io import images, parallel, sandbox
from toolkit.io.images import ImageLimits, Pixels
from toolkit.metrics import calibration
from toolkit.metrics.decisions import Decisions
from toolkit.pipeline.nearest import TrainingPhotos
from toolkit.reporting.gallery import inline_image
from toolkit.reporting.mistakes import overlay_picture
from toolkit.training import dataset, inference
from toolkit.training.runs import Run

MAX_BYTES = 20_000_000
"""Of a photo that is sent."""
MAX_PHOTOS = 100
"""That the page sends at a time."""
MAX_BUSY = 16
"""Photos that are sent, decoded or predicted at the same time; whoever comes then waits (503)."""
MAX_SECONDS = 60
"""That sending a photo may take (408)."""
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True, eq=False)
class Predictor:
    """A run's network in memory, and the `trained` photos that the nearest ones are found among.

    As many photos are decoded side by side as there are cores, and computed one at a time.
    """

    run: Run
    network: nn.Module
    decisions: Decisions
    trained: TrainingPhotos | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    decoders: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(parallel.cores())
    )

    def predict(
        self, data: bytes, *, heatmap: bool = False, nearest: bool = False
    ) -> dict[str, Any]:
        """Return what the network makes of an image file, as /predict answers.

        Raises InputError with the reason where it cannot be read.
        """
        limits = images.LIMITS.scaled(self.run.bits)
        with self.decoders:  # each may take the memory of the largest photo
            pixels = _read(data, self.run.size, limits)
        with self.lock:  # torch's settings are those of the whole process
            raw = inference.classify(self.run, self.network, dataset.stack_images([pixels]))
        scores = calibration.soften(raw, self.decisions.temperature)[0].tolist()
        column = self._decide(raw[0].tolist())
        answer: dict[str, Any] = {
            "predicted": self.run.classes[column],
            "probabilities": dict(zip(self.run.classes, scores, strict=True)),
            "positive": self.decisions.positive,
            "threshold": self.decisions.calibrated_threshold,
        }
        if heatmap:
            answer["heatmap"] = self._heatmap(pixels, column)
        if nearest:
            answer["nearest"] = self._nearest(pixels)
        return answer

    def _decide(self, scores: list[float]) -> int:
        decided = self.decisions
        if decided.positive is None or decided.threshold is None:
            return int(np.argmax(scores))
        column = self.run.classes.index(decided.positive)
        return column if scores[column] >= decided.threshold else 1 - column

    def _heatmap(self, pixels: Pixels, column: int) -> str:
        with self.lock:
            stacked = dataset.stack_images([pixels])
            (heat,) = inference.heatmaps(self.network, stacked, [column], self.run.threads)
        return inline_image(overlay_picture(pixels, heat), "").uri

    def _nearest(self, pixels: Pixels) -> list[dict[str, Any]]:
        if self.trained is None:
            return []
        with self.lock:
            stacked = dataset.stack_images([pixels])
            features = inference.pooled_features(self.network, stacked, self.run.threads)
        return self.trained.nearest(features[0])


def _read(data: bytes, size: int, limits: ImageLimits) -> Pixels:
    """Decode and resize in one process, so that no more than the small picture leaves it."""
    decoded = sandbox.sandboxed_map(partial(_decode_reduced, size, limits), (data,), 1)
    (pixels,) = sandbox.finished(decoded)
    return pixels


def _decode_reduced(size: int, limits: ImageLimits, data: bytes) -> Pixels:
    picture = images.decode_reduced(data, images.MAX_SIDE, limits)
    return images.resize(images.to_pixels(picture), size)


def build_app(
    predictor: Predictor,
    page: str,
    hosts: tuple[str, ...] = LOOPBACK,
    places: threading.Semaphore | None = None,
) -> FastAPI:
    """Return the application: / is `page`, /predict takes an image file, /openapi.json says how.

    Only requests to a name in `hosts` are answered, so that no page of a stranger gets at it
    through a name of its own; "*" is any. `places` are MAX_BUSY, each taken while a photo is sent,
    decoded and predicted.
    """
    about, places = predictor.run, places or threading.Semaphore(MAX_BUSY)
    app = FastAPI(title=f"{about.arm}-{about.recipe}-{about.seed}", docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    async def index() -> str:
        return page

    async def predict_photo(
        request: Request, heatmap: bool = False, nearest: bool = False
    ) -> dict[str, Any]:
        if not places.acquire(blocking=False):
            await read_body(request.headers, request.stream(), keep=False)  # or no answer is read
            problem = f"{MAX_BUSY} photos are being looked at; send this one again in a second"
            raise HTTPException(503, problem, {"Retry-After": "1"})
        try:
            data = await read_body(request.headers, request.stream())
            answer: dict[str, Any] = await run_in_threadpool(
                predictor.predict, data, heatmap=heatmap, nearest=nearest
            )
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        finally:
            places.release()
        return answer

    app.add_api_route("/", index, response_class=HTMLResponse, summary="The page")
    app.add_api_route(
        "/predict",
        predict_photo,
        methods=["POST"],
        summary="Predict the class of one image file",
        openapi_extra=BODY,
        responses=_responses(predictor),
    )
    return app


async def read_body(
    headers: Mapping[str, str], stream: AsyncIterator[bytes], *, keep: bool = True
) -> bytes:
    """Return a request's body, or read it and return nothing.

    Raises HTTPException, 413, as soon as it is beyond MAX_BYTES, 408 after MAX_SECONDS, and 400
    where the connection ended before.
    """
    length, data, read = headers.get("content-length", "0"), bytearray(), 0
    declared = int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0
    problem = f"more than {MAX_BYTES:,} bytes; send a smaller photo"
    if declared > MAX_BYTES:
        raise HTTPException(413, problem)
    try:
        async with asyncio.timeout(MAX_SECONDS):
            async for part in stream:
                read += len(part)
                if read > MAX_BYTES:
                    raise HTTPException(413, problem)
                data += part if keep else b""
    except ClientDisconnect:
        raise HTTPException(400, "the photo did not come to its end; send it again") from None
    except TimeoutError:
        problem = f"the photo did not come within {MAX_SECONDS} seconds; send it again"
        raise HTTPException(408, problem) from None
    return bytes(data)


BODY = {
    "requestBody": {
        "required": True,
        "description": "The file as it is: curl --data-binary @photo.jpg",
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _responses(predictor: Predictor) -> dict[int | str, dict[str, Any]]:
    classes, decided = predictor.run.classes, predictor.decisions
    example = {
        "predicted": classes[0],
        "probabilities": {name: 1 / len(classes) for name in classes},
        "positive": decided.positive,
        "threshold": decided.calibrated_threshold,
    }
    refusal = {"description": "Why the file is not predicted"}
    asked = {
        "heatmap": "data:image/jpeg;base64,...",
        "nearest": [
            {
                "class": classes[0],
                "file": "000.png",
                "similarity": 0.93,
                "picture": "data:image/jpeg;base64,...",
            }
        ],
    }
    problem = {"content": {"application/json": {"example": {"detail": "not an image (text)"}}}}
    return {
        200: {
            "content": {
                "application/json": {
                    "examples": {
                        "without parameters": {"value": example},
                        "?heatmap=true&nearest=true": {"value": example | asked},
                    }
                }
            }
        },
        408: refusal,
        413: refusal,
        422: refusal | problem,
        503: {"description": f"{MAX_BUSY} photos are being looked at: send it again in a second"},
    }
