"""The web application of `toolkit serve`: a page to drop photos on, and JSON for programs."""

import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from torch import nn

from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.images import Pixels
from toolkit.metrics import calibration
from toolkit.metrics.decisions import Decisions
from toolkit.reporting.gallery import inline_image
from toolkit.reporting.mistakes import overlay_picture
from toolkit.training import dataset, inference
from toolkit.training.runs import Run

MAX_BYTES = 20_000_000
"""Of a photo that is sent."""
MAX_PHOTOS = 100
"""That the page sends at a time."""
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True, eq=False)
class Predictor:
    """A run's network in memory. Photos are decoded side by side, and computed one at a time."""

    run: Run
    network: nn.Module
    decisions: Decisions
    lock: threading.Lock = field(default_factory=threading.Lock)

    def predict(self, data: bytes, *, heatmap: bool = False) -> dict[str, Any]:
        """Return what the network makes of an image file, as /predict answers.

        Raises InputError with the reason where it cannot be read.
        """
        limits = images.LIMITS.scaled(self.run.bits)
        picture = images.decode_reduced(data, images.MAX_SIDE, limits)
        pixels = images.resize(images.to_pixels(picture), self.run.size)
        with self.lock:  # torch's settings are those of the whole process
            raw = inference.classify(self.run, self.network, dataset.stack_images([pixels]))
        scores = calibration.soften(raw, self.decisions.temperature)[0].tolist()
        column = self._decide(raw[0].tolist())
        answer = {
            "predicted": self.run.classes[column],
            "probabilities": dict(zip(self.run.classes, scores, strict=True)),
            "positive": self.decisions.positive,
            "threshold": self.decisions.calibrated_threshold,
        }
        return answer | ({"heatmap": self._heatmap(pixels, column)} if heatmap else {})

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


def build_app(predictor: Predictor, page: str, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """Return the application: / is `page`, /predict takes an image file, /openapi.json says how.

    Only requests to a name in `hosts` are answered, so that no page of a stranger gets at it
    through a name of its own; "*" is any.
    """
    about = predictor.run
    app = FastAPI(title=f"{about.arm}-{about.recipe}-{about.seed}", docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    async def index() -> str:
        return page

    async def predict_photo(request: Request, heatmap: bool = False) -> dict[str, Any]:
        data = await read_body(request.headers, request.stream())
        try:
            answer: dict[str, Any] = await run_in_threadpool(
                predictor.predict, data, heatmap=heatmap
            )
        except InputError as error:
            raise HTTPException(422, str(error)) from None
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


async def read_body(headers: Mapping[str, str], stream: AsyncIterator[bytes]) -> bytes:
    """Return a request's body. Raises HTTPException, 413, as soon as it is beyond MAX_BYTES."""
    length, data = headers.get("content-length", "0"), bytearray()
    declared = int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0
    problem = f"more than {MAX_BYTES:,} bytes; send a smaller photo"
    if declared > MAX_BYTES:
        raise HTTPException(413, problem)
    async for part in stream:
        data += part
        if len(data) > MAX_BYTES:
            raise HTTPException(413, problem)
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
    problem = {"content": {"application/json": {"example": {"detail": "not an image (text)"}}}}
    return {
        200: {"content": {"application/json": {"example": example}}},
        413: refusal,
        422: refusal | problem,
    }
