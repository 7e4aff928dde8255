"""The contenders of benchmarks/train.py: each trains GoogLeNet and reports each epoch.

An epoch is all of train (forward, backward, step) and all of valid. Each contender is used as its
own documentation shows; images are PNG files of 128 px in <folder>/{train,valid}/<class>.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import GoogLeNet
from torchvision.transforms import Compose, Normalize, ToTensor

OnEpoch = Callable[[], object]
SIZE, BATCH, RATE, WEIGHTS, THREADS = 128, 64, 1e-3, (0.7, 0.2, 0.1), 2
HALF = (0.5, 0.5, 0.5)


def network() -> nn.Module:
    """Return the GoogLeNet that all contenders train."""
    return GoogLeNet(2, aux_logits=True, transform_input=False, init_weights=True)


def loss(output: Tensor | Sequence[Tensor], labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, weighted over the heads."""
    if isinstance(output, Tensor):
        return cross_entropy(output, labels)
    return sum(w * cross_entropy(o, labels) for w, o in zip(WEIGHTS, output, strict=True))


def loaders(folder: Path, workers: int) -> tuple[DataLoader, DataLoader]:
    """Return train and valid, decoded by PIL in every epoch."""
    transform = Compose([ToTensor(), Normalize(HALF, HALF)])
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    loaded = [
        DataLoader(
            ImageFolder(folder / split, transform), BATCH, shuffle=split == "train", **options
        )
        for split in ("train", "valid")
    ]
    return loaded[0], loaded[1]


def loop(
    model: nn.Module, data: Any, optimizer: Any, epochs: int, on_epoch: OnEpoch, *, fast: bool
) -> None:
    """Train as tutorials do; `fast` adds channels_last and bfloat16, and nothing else."""
    layout = torch.channels_last if fast else torch.contiguous_format
    model.to(memory_format=layout)
    half = partial(torch.autocast, "cpu", torch.bfloat16, enabled=fast)
    train, valid = data
    for _ in range(epochs):
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            with half():
                output = model(images.to(memory_format=layout))
            value = loss([one.float() for one in output], labels)
            value.backward()
            optimizer.step()
            value.item()
        model.eval()
        right = 0
        with torch.no_grad(), half():
            for images, labels in valid:
                scores = model(images.to(memory_format=layout)).float()
                loss(scores, labels).item()
                right += (scores.argmax(1) == labels).sum().item()
        on_epoch()


def published(folder: Path, epochs: int, on_epoch: OnEpoch, *, fast: bool = False) -> None:
    """Train as tutorials do: PIL decodes in every epoch; float32, torch's defaults."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    loop(model, loaders(folder, 0), optimizer, epochs, on_epoch, fast=fast)


def with_lightning(folder: Path, epochs: int, on_epoch: OnEpoch) -> None:
    """Train with PyTorch Lightning's Trainer."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: Any, _index: int) -> Tensor:
            return loss(self.model(batch[0]), batch[1])

        def validation_step(self, batch: Any, _index: int) -> None:
            self.log("loss", loss(self.model(batch[0]), batch[1]))

        def on_train_epoch_end(self) -> None:  # comes after validation
            on_epoch()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), RATE)

    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Module(), *loaders(folder, 2))


def with_fastai(folder: Path, epochs: int, on_epoch: OnEpoch) -> None:
    """Train with fastai's Learner, its loader and its Adam."""
    from fastai.vision.all import (
        Callback,
        ImageDataLoaders,
        Learner,
        Normalize,
        accuracy,
    )

    class Epochs(Callback):
        def after_epoch(self) -> None:
            on_epoch()

    data = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="valid",
        bs=BATCH,
        num_workers=2,
        device="cpu",
        batch_tfms=Normalize.from_stats(HALF, HALF, cuda=False),
    )
    learner = Learner(data, network(), loss_func=loss, metrics=accuracy, cbs=Epochs())
    with learner.no_bar(), learner.no_logging():
        learner.fit(epochs, RATE)


def with_timm(folder: Path, epochs: int, on_epoch: OnEpoch) -> None:
    """Train with timm's loader and optimizer, in the loop of tutorials."""
    from timm.data import create_dataset, create_loader
    from timm.optim import create_optimizer_v2

    data = [
        create_loader(
            create_dataset("", root=str(folder / split)),
            (3, SIZE, SIZE),
            BATCH,
            is_training=split == "train",
            no_aug=True,
            use_prefetcher=False,
            num_workers=2,
            mean=HALF,
            std=HALF,
            crop_pct=1.0,
            device=torch.device("cpu"),
        )
        for split in ("train", "valid")
    ]
    model = network()
    optimizer = create_optimizer_v2(model, opt="adam", lr=RATE)
    loop(model, data, optimizer, epochs, on_epoch, fast=False)


def ours(
    folder: Path, epochs: int, on_epoch: OnEpoch, *, data: str, precision: str = "auto"
) -> None:
    """Train as `toolkit train` does after its start, the best weights kept."""
    from toolkit.training import dataset, streaming
    from toolkit.training.loop import fit
    from toolkit.training.params import Recipe, TrainParams
    from toolkit.training.state import training_job

    recipes = {"googlenet": Recipe(network="googlenet", epochs=epochs, batch=BATCH)}
    settings = TrainParams(device="cpu", threads=THREADS, precision=precision, recipes=recipes)
    where = torch.device("cpu")
    train, valid = (
        streaming.open_data(dataset.open_folder(folder / split), SIZE, data, 2, where)
        for split in ("train", "valid")
    )
    job = training_job(settings, "googlenet", 0)
    fit(train, valid, job, lambda _: on_epoch())


CONTENDERS: dict[str, Callable[[Path, int, OnEpoch], None]] = {
    "published way": published,
    "Lightning": with_lightning,
    "fastai": with_fastai,
    "timm": with_timm,
    "published way, channels_last, bfloat16": partial(published, fast=True),
    "toolkit, float32": partial(ours, data="memory", precision="float32"),
    "toolkit": partial(ours, data="memory"),
    "toolkit, from files": partial(ours, data="files"),
}
PEERS = ("published way", "Lightning", "fastai", "timm")
