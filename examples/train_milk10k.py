"""Fine-tune a zoo model on MILK10k and write a model folder: the recipe of `amf_small.milk10k`.

    python examples/train_milk10k.py --data milk10k/ --out runs/milk10k \
        --clinical-weights mobilenetv2_035.safetensors --dermoscopy-weights mobilenetv2_100.safetensors

`--data` is the folder with MILK10k_Training_GroundTruth.csv (doi:10.34970/648456).
One fifth of the lesions of each class is held out for validation, chosen by a hash
of the lesion id, so the split does not depend on this program's random numbers.
A run that is stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.utils import ModelEmaV3

from amfzoo import create_model
from amfzoo.evaluation import Cases, classification_scores
from amfzoo.images import Preprocess
from amfzoo.labels import MILK10K
from amfzoo.models.backbone import load_backbone_weights

CLASSES = MILK10K.tasks["diagnosis"].classes
IMAGE_TYPES = {"clinical: close-up": 0, "dermoscopic": 1}


def read_lesions(root: Path) -> list[tuple[str, int, list[Path]]]:
    """(lesion id, class index, [clinical, dermoscopy]) of every lesion, in the file's order."""
    images: dict[str, list[Path]] = {}
    with open(root / "MILK10k_Training_Metadata.csv", newline="") as file:
        for row in csv.DictReader(file):
            lesion = row["lesion_id"]
            pair = images.setdefault(lesion, [Path(), Path()])
            pair[IMAGE_TYPES[row["image_type"]]] = root / "MILK10k_Training_Input" / lesion / f"{row['isic_id']}.jpg"
    with open(root / "MILK10k_Training_GroundTruth.csv", newline="") as file:
        return [
            (row["lesion_id"], next(i for i, name in enumerate(CLASSES) if float(row[name]) == 1), images[row["lesion_id"]])
            for row in csv.DictReader(file)
        ]


def split(lesions: list, folds: int = 5, fold: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation lesions; stratified, `fold` of `folds` is held out."""
    held_out = []
    for label in range(len(CLASSES)):
        members = [i for i, lesion in enumerate(lesions) if lesion[1] == label]
        members.sort(key=lambda i: hashlib.sha256(lesions[i][0].encode()).hexdigest())
        held_out += members[fold::folds]
    rest = sorted(set(range(len(lesions))) - set(held_out))
    return np.array(rest), np.array(sorted(held_out))


def cached_pixels(lesions: list, folder: Path, size: int) -> np.ndarray:
    """(lesions, 2, size, size, 3) uint8, memory-mapped: every image decoded and resized once."""
    target = folder / f"pixels_{size}.npy"
    if not target.exists():
        partial = target.with_suffix(".partial.npy")
        array = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(lesions), 2, size, size, 3))
        geometry = Preprocess(size=(size, size))

        def store(i: int) -> None:
            for branch, path in enumerate(lesions[i][2]):
                array[i, branch] = geometry.resized(path)

        with ThreadPoolExecutor() as pool:
            list(pool.map(store, range(len(lesions))))
        array.flush()
        os.replace(partial, target)
    return np.load(target, mmap_mode="r")


def augment(pixels: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """(B, 3, S, S) in 0..1 -> (B, 3, size, size): any rotation, flips, zoom, stretch, light and colour."""
    batch = len(pixels)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.rand(batch, *shape, generator=generator) * (high - low) + low

    angle, zoom, stretch = uniform(-math.pi, math.pi), uniform(0.7, 1.0), torch.exp(uniform(-0.2, 0.2))
    flip = torch.sign(uniform(-1, 1))
    matrix = torch.stack(
        [zoom * stretch * torch.cos(angle) * flip, -zoom * torch.sin(angle) / stretch, uniform(-0.1, 0.1),
         zoom * stretch * torch.sin(angle) * flip, zoom * torch.cos(angle) / stretch, uniform(-0.1, 0.1)], 1
    ).view(batch, 2, 3)  # fmt: skip
    grid = F.affine_grid(matrix, [batch, 3, size, size], align_corners=False)
    pixels = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * uniform(0.8, 1.2, 1, 1, 1)  # saturation
    mean = pixels.mean((1, 2, 3), keepdim=True)
    pixels = mean + (pixels - mean) * uniform(0.8, 1.2, 1, 1, 1)  # contrast
    return (pixels * uniform(0.8, 1.2, 1, 1, 1) * uniform(0.95, 1.05, 3, 1, 1)).clamp(0, 1)


class Batches:
    """Turns rows of the pixel cache into normalised network inputs."""

    def __init__(self, pixels: np.ndarray, model: torch.nn.Module, device: str) -> None:
        self.pixels, self.device = pixels, device
        preprocess = (model.config.clinical_preprocess, model.config.dermoscopy_preprocess)
        self.mean = [torch.tensor(p.mean).view(3, 1, 1) for p in preprocess]
        self.std = [torch.tensor(p.std).view(3, 1, 1) for p in preprocess]

    def __call__(self, rows: np.ndarray, size: int | None = None, generator: torch.Generator | None = None) -> list:
        images = torch.from_numpy(np.ascontiguousarray(self.pixels[rows])).permute(1, 0, 4, 2, 3).float() / 255
        if size:
            images = [augment(branch, size, generator) for branch in images]
        return [
            ((image - mean) / std).to(self.device, memory_format=torch.channels_last)
            for image, mean, std in zip(images, self.mean, self.std)
        ]


@torch.inference_mode()
def validate(model: torch.nn.Module, batches: Batches, rows: np.ndarray, present: tuple[bool, bool]) -> np.ndarray:
    """(rows, classes) probabilities with the given images present."""
    model.eval()
    out = []
    for start in range(0, len(rows), 64):
        images = batches(rows[start : start + 64])
        mask = torch.tensor([present]).expand(len(images[0]), 2).to(batches.device)
        out.append(model(*images, mask)["diagnosis"].float().softmax(1).cpu().numpy())
    return np.concatenate(out)


def crop_side(args: argparse.Namespace, epoch: int) -> int:
    """Side of the training crops: grows over the epochs, in steps of 16 pixels, since small ones are cheap."""
    share = epoch / max(1, args.epochs - 1)
    return 16 * round((args.start_size + share * (args.size - args.start_size)) / 16)


def loss_of(logits: dict[str, torch.Tensor], labels: torch.Tensor, present: torch.Tensor, args, weight: torch.Tensor):
    """Weighted cross-entropy of the main head plus that of each branch's own head."""
    def one(name: str, mask: torch.Tensor | None = None) -> torch.Tensor:
        value = F.cross_entropy(
            logits[name].float(), labels, weight, label_smoothing=args.label_smoothing, reduction="none"
        )
        value = value if mask is None else value * mask
        return value.sum() / weight[labels].sum()

    total = one("diagnosis")
    for column, branch in enumerate(("clinical", "dermoscopy")):
        if f"{branch}/diagnosis" in logits:
            total = total + args.auxiliary * one(f"{branch}/diagnosis", present[:, column])
    return total


def save(path: Path, content: dict) -> None:
    """torch.save that never leaves a half-written file."""
    torch.save(content, path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    lesions = read_lesions(args.data)
    labels = np.array([lesion[1] for lesion in lesions])
    train_rows, val_rows = split(lesions, fold=args.fold)
    evaluation = {"size": (args.eval_size, args.eval_size)}
    model = create_model(args.model, tasks=MILK10K, auxiliary_heads=args.auxiliary > 0, dropout=args.dropout)
    model.config = model.config.replace(
        clinical_preprocess={**model.config.clinical_preprocess.to_dict(), **evaluation},
        dermoscopy_preprocess={**model.config.dermoscopy_preprocess.to_dict(), **evaluation},
    )
    for branch, file in (("clinical", args.clinical_weights), ("dermoscopy", args.dermoscopy_weights)):
        if file:
            load_backbone_weights(model.branches[branch], load_file(file))
    model.to(args.device, memory_format=torch.channels_last)
    ema = ModelEmaV3(model, decay=args.ema, use_warmup=True)
    cache = args.cache or args.out
    batches = Batches(cached_pixels(lesions, cache, args.cache_size), model, args.device)
    whole = Batches(cached_pixels(lesions, cache, args.eval_size), model, args.device)
    steps = len(train_rows) // args.batch_size
    groups = model.param_groups(args.lr, args.weight_decay, args.layer_decay)
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], epochs=args.epochs, steps_per_epoch=steps, pct_start=0.15
    )
    counts = np.bincount(labels[train_rows], minlength=len(CLASSES))
    weight = torch.tensor(1 / np.sqrt(counts), dtype=torch.float32, device=args.device)
    weight = weight / weight.mean()
    labels_t = torch.from_numpy(labels).to(args.device)

    checkpoint = args.out / "last.pt"
    first, history = 0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=args.device, weights_only=True)
        model.load_state_dict(state["model"])
        ema.module.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, history = state["epoch"], state["history"]
    for epoch in range(first, args.epochs):
        # one generator per epoch, so that a resumed run draws what an unbroken one would
        generator = torch.Generator().manual_seed(args.seed * 1000 + epoch)
        torch.manual_seed(args.seed * 1000 + epoch)
        order = train_rows[torch.randperm(len(train_rows), generator=generator).numpy()]
        model.train()
        started, total = time.time(), 0.0
        for step in range(steps):
            rows = order[step * args.batch_size : (step + 1) * args.batch_size]
            images = batches(rows, crop_side(args, epoch), generator)
            draw = torch.rand(len(rows), generator=generator)
            drop = args.modality_dropout
            present = torch.stack([draw >= drop, (draw < drop) | (draw >= 2 * drop)], 1).to(args.device)
            with torch.autocast(args.device, dtype=torch.bfloat16):
                logits = model(*images, present, auxiliary=args.auxiliary > 0)
            loss = loss_of(logits, labels_t[rows], present, args, weight)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            ema.update(model, step=epoch * steps + step)
            total += loss.item()
        result = classification_scores(labels[val_rows], validate(ema.module, whole, val_rows, (True, True)))
        history.append({"epoch": epoch, "loss": total / steps, "seconds": time.time() - started, **result})
        print(json.dumps({key: round(float(value), 4) for key, value in history[-1].items()}), flush=True)
        save(checkpoint, {"model": model.state_dict(), "ema": ema.module.state_dict(), "epoch": epoch + 1,
                          "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "history": history})
    finish(ema.module, whole, lesions, val_rows, args)


def finish(model: torch.nn.Module, batches: Batches, lesions: list, rows: np.ndarray, args: argparse.Namespace) -> None:
    """Write per-case validation probabilities with both images and with one, and the model folder."""
    labels = np.array([lesions[i][1] for i in rows])
    for name, present in (("both", (True, True)), ("clinical", (True, False)), ("dermoscopy", (False, True))):
        probabilities = validate(model, batches, rows, present)
        print(name, {key: round(value, 4) for key, value in classification_scores(labels, probabilities).items()})
        cases = Cases(
            [lesions[i][0] for i in rows], {"diagnosis": CLASSES}, {"diagnosis": labels}, {"diagnosis": probabilities},
            mode=name, model=args.model,
        )  # fmt: skip
        cases.write(args.out / f"validation_{name}.csv")
    if args.auxiliary:
        model.remove_auxiliary_heads()
    model.save_pretrained(args.out / "model", overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="MILK10k folder")
    add("--out", type=Path, required=True, help="folder of the run")
    add("--cache", type=Path, help="folder for decoded pixels (default: the run's)")
    add("--model", default="amf_small")
    add("--clinical-weights", type=Path, help="safetensors of the bare timm backbone")
    add("--dermoscopy-weights", type=Path, help="safetensors of the bare timm backbone")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--epochs", type=int, default=12)
    add("--batch-size", type=int, default=32)
    add("--start-size", type=int, default=144, help="side of the training crops in the first epoch, pixels")
    add("--size", type=int, default=160, help="the same in the last epoch")
    add("--cache-size", type=int, default=256, help="side of the stored training pictures; larger than the crops, "
        "since a crop that is not shrunk is blurred by its rotation, and then sharp pictures look foreign")
    add("--eval-size", type=int, default=192, help="side of the whole image at validation, pixels")
    add("--lr", type=float, default=5e-4)
    add("--weight-decay", type=float, default=0.05)
    add("--layer-decay", type=float, default=1.0)
    add("--dropout", type=float, default=0.2)
    add("--label-smoothing", type=float, default=0.05)
    add("--auxiliary", type=float, default=0.3, help="weight of each branch's own loss")
    add("--modality-dropout", type=float, default=0.1, help="probability of hiding each image")
    add("--ema", type=float, default=0.998)
    add("--fold", type=int, default=0)
    add("--seed", type=int, default=0)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
