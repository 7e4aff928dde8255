"""The sections of params.yaml that train and judge: train, evaluate, compare."""

from typing import Annotated, Literal

from pydantic import Field

from toolkit.io.schema import Count, Hex64, Name, Positive, Section

Criterion = Literal["loss", "accuracy", "gmean"]


class Plateau(Section):
    """ReduceLROnPlateau.

    The learning rate is multiplied by `factor`, down to `floor`, when `watch` has not improved for
    `patience` epochs.
    """

    watch: Criterion = "loss"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Count = 10
    floor: Annotated[float, Field(ge=0)] = 0.0


class WeightsFile(Section):
    """A safetensors file to start from; the path is relative to the working folder."""

    path: str
    sha256: Hex64


class Recipe(Section):
    """One way to train. Criteria are measured on the valid split."""

    network: str
    epochs: Positive
    batch: Positive = 64
    learning_rate: Annotated[float, Field(gt=0)] = 0.001
    plateau: Plateau = Plateau()
    keep: Criterion = "loss"
    loss_weights: tuple[float, float, float] = (0.7, 0.2, 0.1)
    """GoogLeNet's outputs: main, deeper auxiliary head, shallower one."""
    negative_slope: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the activation below zero: 0 is ReLU, more is LeakyReLU."""
    weights: WeightsFile | None = None
    """Fine-tune these, where null draws the first weights; a head of other classes is drawn."""
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The longest gradient, over all weights together; a longer one is scaled down to it."""
    accumulate: bool = False
    """Where a batch does not fit in memory, take it in parts and add up their gradients. Batch norm
    then sees a part at a time."""
    gradients: bool = False
    """Leave the gradients' norms of each layer and epoch in the run: gradients.csv."""
    match_steps: bool = False
    """Give every arm the optimiser steps that the original arm takes."""


class Checkpoint(Section):
    """How often a training is saved, to go on from after an interruption. Results do not change."""

    epochs: Positive | None = None
    minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    """Also within an epoch; 0 saves after each step."""


class TrainParams(Section):
    """How every network is trained, and the recipes."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Positive = 2
    """CPU threads; another number gives other weights."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint: Checkpoint = Checkpoint()
    data: Literal["auto", "memory", "files"] = "auto"
    """Images decoded once and kept, or read from their files in each epoch; auto: if they fit."""
    workers: Count = 0
    """Threads that decode, with `data: files`; 0 for one per core."""
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)]
