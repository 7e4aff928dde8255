"""The contenders of benchmarks/train.py: each trains GoogLeNet and calls `told` after each epoch.

An epoch is all of train (forward, backward, step) and all of valid. Each one the way its own
documentation shows; images are PNG files of 128 px in <folder>/{train,valid}/<class>.
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

Told = Callable[[], object]
BATCH, RATE, WEIGHTS, THREADS = 64, 1e-3, (0.7, 0.2, 0.1), 2
HALF = (0.5, 0.5, 0.5)


def network() -> nn.Module:
    """A GoogLeNet, as all contenders train it."""
    return GoogLeNet(2, aux_logits=True, transform_input=False, init_weights=True)


def loss(output: Tensor | Sequence[Tensor], labels: Tensor) -> Tensor:
    """Mean cross-entropy, weighted over the heads."""
    if isinstance(output, Tensor):
        return cross_entropy(output, labels)
    return sum(w * cross_entropy(o, labels) for w, o in zip(WEIGHTS, output, strict=True))


def loaders(folder: Path, workers: int) -> tuple[DataLoader, DataLoader]:
    """Train and valid, decoded by PIL in every epoch."""
    change = Compose([ToTensor(), Normalize(HALF, HALF)])
    keep = {"num_workers": workers, "persistent_workers": workers > 0}
    made = [
        DataLoader(ImageFolder(folder / split, change), BATCH, shuffle=split == "train", **keep)
        for split in ("train", "valid")
    ]
    return made[0], made[1]


def loop(
    model: nn.Module, data: Any, optimizer: Any, epochs: int, told: Told, *, fast: bool
) -> None:
    """The loop of every tutorial; `fast` adds channels_last and bfloat16, and nothing else."""
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
        told()


def published(folder: Path, epochs: int, told: Told, *, fast: bool = False) -> None:
    """PIL decodes in a DataLoader in every epoch; float32, torch's defaults."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    loop(model, loaders(folder, 0), optimizer, epochs, told, fast=fast)


def with_lightning(folder: Path, epochs: int, told: Told) -> None:
    """PyTorch Lightning's Trainer."""
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
            told()

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


def with_fastai(folder: Path, epochs: int, told: Told) -> None:
    """The Learner of fastai, with its loader and its Adam."""
    from fastai.vision.all import (
        Callback,
        ImageDataLoaders,
        Learner,
        Normalize,
        accuracy,
    )

    class Told(Callback):
        def after_epoch(self) -> None:
            told()

    data = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="valid",
        bs=BATCH,
        num_workers=2,
        device="cpu",
        batch_tfms=Normalize.from_stats(HALF, HALF, cuda=False),
    )
    learner = Learner(data, network(), loss_func=loss, metrics=accuracy, cbs=Told())
    with learner.no_bar(), learner.no_logging():
        learner.fit(epochs, RATE)


def with_timm(folder: Path, epochs: int, told: Told) -> None:
    """The loader and the optimizer of timm, in the loop of every tutorial."""
    from timm.data import create_dataset, create_loader
    from timm.optim import create_optimizer_v2

    data = [
        create_loader(
            create_dataset("", root=str(folder / split)),
            (3, 128, 128),
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
    loop(model, data, optimizer, epochs, told, fast=False)


def ours(folder: Path, epochs: int, told: Told, *, data: str, precision: str = "auto") -> None:
    """What `toolkit train` does after it has started; keeping the best weights included."""
    from toolkit.training import state, streaming
    from toolkit.training.loop import fit
    from toolkit.training.params import Recipe, TrainParams

    recipes = {"googlenet": Recipe(network="googlenet", epochs=epochs, batch=BATCH)}
    settings = TrainParams(device="cpu", threads=THREADS, precision=precision, recipes=recipes)
    where = torch.device("cpu")
    train, valid = (
        streaming.open_data(folder / split, data, 2, where) for split in ("train", "valid")
    )
    job = state.training_job(settings, "googlenet", 0)
    fit(train, valid, job, lambda _: told())


CONTENDERS: dict[str, Callable[[Path, int, Told], None]] = {
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
