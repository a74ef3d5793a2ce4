"""Share of the network in a training step: step time with image files against the bare network.

    python benchmarks/train_step.py [--model amf_small] [--lesions 64] [--no-cache]

Draws JPEG pairs of 600 x 450 pixels, then times, in one run: preparing decoded pictures
(once per run), a step from the dataset (pixels, augmentation, network, optimiser), the
same step with finished tensors, and augmentation alone. By default on one thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from amfzoo.benchmark.timing import interleaved
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.synthetic import draw_pair
from amfzoo.training.config import load_config
from amfzoo.training.dataset import PairDataset
from amfzoo.training.device import make_accelerator
from amfzoo.training.draws import StepDraw, epoch_order
from amfzoo.training.loop import Trainer
from amfzoo.training.prepare import build_model

CLASSES = ("absent", "present")


def drawn_lesions(folder: Path, count: int) -> LesionSet:
    lesions = []
    for number in range(count):
        veil = CLASSES[number % 2]
        pair = draw_pair({"blue_whitish_veil": veil}, seed=number, size=(600, 450))
        paths = [folder / f"{number}_{name}.jpg" for name in ("clinical", "dermoscopy")]
        for path, image in zip(paths, (pair.clinical, pair.dermoscopy)):
            image.save(path, quality=90)
        lesions.append(Lesion(str(number), *paths, {"blue_whitish_veil": veil}))
    return LesionSet("drawn", tuple(lesions), {"blue_whitish_veil": CLASSES})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="amf_small")
    parser.add_argument("--lesions", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-cache", action="store_true", help="decode files in each step")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = load_config(
        batch_size=args.batch_size,
        image_size=args.image_size,
        workers=args.threads,
        cache_gb=0.0 if args.no_cache else 8.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        lesions = drawn_lesions(Path(folder), args.lesions)
        network = build_model(args.model, lesions.tasks, config).network
        start = time.perf_counter()
        dataset = PairDataset(lesions, network.preprocess, cache_gb=config.cache_gb, workers=args.threads)
        decoding = (time.perf_counter() - start) / args.lesions
        report(
            Trainer(network, dataset, config, make_accelerator(config, None, "cpu"), Path(folder), {}),
            decoding,
            args.repeats,
        )


def report(trainer: Trainer, decoding: float, repeats: int) -> None:
    config = trainer.config
    epoch = config.epochs // 2
    draw = StepDraw.make(config, tuple(trainer.train.preprocess), epoch_order(0, epoch, len(trainer.train)), epoch, 0)
    trainer.model.train()
    _, parts = trainer._load(draw)
    present = trainer.train.has[draw.rows]
    augment = trainer._images
    images = {branch: augment(branch, parts[0], draw, present, epoch) for branch in ("clinical", "dermoscopy")}

    def step(parts: list, make_images: Callable) -> None:  # the very methods of the loop
        trainer._images = make_images  # type: ignore[method-assign]
        trainer._step(draw, parts, epoch)

    times = interleaved(
        {
            "whole": lambda: step(trainer._load(draw)[1], augment),
            "bare": lambda: step(parts, lambda branch, *_: images[branch]),
            "pixels": lambda: trainer._load(draw),
            "augmentation": lambda: [augment(branch, parts[0], draw, present, epoch) for branch in images],
        },
        repeats,
    )
    found = {name: statistics.median(values) for name, values in times.items()}
    whole, bare = found["whole"], found["bare"]
    print(
        f"{trainer.batch_size} pairs, crops {tuple(images['dermoscopy'].shape[2:])}, {torch.get_num_threads()} threads"
    )
    print(f"decode and resize, once per run: {1e3 * decoding:.1f} ms per pair")
    print(f"step from files                  {1e3 * whole:.0f} ms")
    print(f"step with finished tensors       {1e3 * bare:.0f} ms")
    pixels, augmentation = 1e3 * found["pixels"], 1e3 * found["augmentation"]
    print(f"  pixels {pixels:.0f} ms (in a thread of its own in training), augmentation {augmentation:.0f} ms")
    print(f"network's share of the step      {100 * bare / whole:.0f} %")


if __name__ == "__main__":
    main()
