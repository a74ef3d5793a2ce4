"""Measure a trained model folder on its validation lesions and add it to the package as released weights.

    python examples/release_weights.py --model runs/milk10k/model --data milk10k/ --name amf_small.milk10k

Takes the model folder that train_milk10k.py wrote, fits the temperature, measures the
half-precision network through the public `predict_stream` from the image files, and writes

    amfzoo/weights/NAME/    the model folder, with golden outputs for the drawn example pair
    results/NAME/           per-case validation probabilities, from which every figure can be recomputed
    weights_manifest.json   the entry
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from train_milk10k import CLASSES, read_lesions, split

from amfzoo import PairNetwork, predict_stream
from amfzoo.data.example import example_pair
from amfzoo.evaluation import Cases, score_intervals
from amfzoo.evaluation.calibration import fit_temperature
from amfzoo.folder import check_folder, sha256_of
from amfzoo.inference.golden import write_golden
from amfzoo.manifest import load_manifest

ROOT = Path(__file__).resolve().parent.parent
MODES = {"both": (True, True), "clinical": (True, False), "dermoscopy": (False, True)}
METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "auroc", "log_loss")
HALF_TOLERANCE = 1e-3  # largest change of a probability that half precision may cause
INFO = {
    "license": "CC-BY-NC-4.0",
    "attribution": "Trained on MILK10k by the MILK study team (doi:10.34970/648456), CC BY-NC 4.0; started from ImageNet "
    "values of Keras' MobileNetV2 0.35 and torchvision's MobileNetV2 1.0.",
    "not_validated_for": "lesions, cameras, skin tones, ages and body sites that MILK10k does not hold (it is mostly fair skin, "
    "nearly all lesions that were biopsied, images of 256 pixels a side); patients (no patient ids exist, so the split is by "
    "lesion); screening; the seven-point checklist (no such task); any use on patients.",
}


def probabilities(model: PairNetwork, lesions: list, rows: np.ndarray, mode: tuple[bool, bool]) -> np.ndarray:
    """(rows, classes), from the image files, with the images of `mode` only."""
    pairs = (tuple(path if keep else None for path, keep in zip(lesions[i][2], mode)) for i in rows)
    answers = predict_stream(model, pairs, batch_size=32)
    return np.array([[answer.diagnosis[name] for name in CLASSES] for answer in answers])


def measure(model: PairNetwork, lesions: list, rows: np.ndarray, results: Path, data: str) -> list[dict]:
    """Write the per-case results of every mode, and return the manifest's metrics."""
    labels = np.array([lesions[i][1] for i in rows])
    results.mkdir(parents=True, exist_ok=True)
    metrics = []
    for mode, keep in MODES.items():
        p = probabilities(model, lesions, rows, keep)
        ids = [lesions[i][0] for i in rows]
        cases = Cases(ids, {"diagnosis": CLASSES}, {"diagnosis": labels}, {"diagnosis": p}, mode=mode, model=model.config.info["name"])
        cases.write(results / f"validation_{mode}.csv")
        # from the file, so that the figures are those that anyone can recompute
        scores = score_intervals(Cases.read(results / f"validation_{mode}.csv"), "diagnosis")
        images = "both images" if mode == "both" else f"{mode} image only"
        for name in METRICS:
            score = scores[name]
            metrics.append({"task": "diagnosis", "name": name, "value": round(score.value, 4), "low": round(score.low, 4),
                            "high": round(score.high, 4), "data": f"{data}, {images}", "cases": len(rows)})
        print(mode, {name: f"{scores[name].value:.3f} [{scores[name].low:.3f}, {scores[name].high:.3f}]" for name in METRICS})
    return metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, required=True, help="model folder of the run, full precision")
    add("--data", type=Path, required=True, help="MILK10k folder")
    add("--name", required=True, help="architecture.tag")
    add("--fold", type=int, default=0, help="the fold that the run held out")
    add("--recipe", default="examples/train_milk10k.py with its defaults", help="how it was trained, for the card")
    args = parser.parse_args()

    lesions = read_lesions(args.data)
    train_rows, rows = split(lesions, fold=args.fold)
    labels = np.array([lesions[i][1] for i in rows])
    full = PairNetwork.from_pretrained(args.model)
    raw = probabilities(full, lesions, rows, MODES["both"])
    temperature = round(fit_temperature(labels, raw), 4)
    data = f"MILK10k training set, held-out fold {args.fold} of 5 split by lesion"
    info = {
        **INFO, "name": args.name,
        "training_data": f"{len(train_rows)} lesions (both images) of the MILK10k training set; {len(rows)} others, {data}, "
        f"chose the recipe and the temperature. Recipe: {args.recipe}.",
    }  # fmt: skip
    full.config = full.config.replace(temperatures={"diagnosis": temperature}, info=info)
    target = ROOT / "amfzoo" / "weights" / args.name
    half = PairNetwork.from_pretrained(full.save_pretrained(target, half=True, overwrite=True))
    change = max(
        np.abs(probabilities(half, lesions, rows, mode) - probabilities(full, lesions, rows, mode)).max()
        for mode in MODES.values()
    )
    print(f"temperature {temperature}; half precision changes no probability by more than {change:.2e}")
    model = half if change <= HALF_TOLERANCE else full
    metrics = measure(model, lesions, rows, ROOT / "results" / args.name, data)
    model.config = model.config.replace(info={**info, "metrics": metrics, "load_as": args.name})
    model.save_pretrained(
        target, half=model is half, overwrite=True, examples=write_golden(model, *example_pair())
    )
    add_to_manifest(args.name, target, model, metrics)


def add_to_manifest(name: str, folder: Path, model: PairNetwork, metrics: list[dict]) -> None:
    """Write the entry of `name`, which becomes the default of its architecture if there is none."""
    check_folder(folder)
    path = ROOT / "weights_manifest.json"
    manifest = json.loads(path.read_text())
    architecture, tag = name.split(".")
    manifest["weights"][name] = {
        "architecture": architecture,
        "tag": tag,
        "source": {"type": "bundled", "folder": name},
        "files": {
            file: {"sha256": sha256_of(folder / file), "bytes": (folder / file).stat().st_size}
            for file in ("model.safetensors", "config.json")
        },
        "parameters": sum(p.numel() for p in model.parameters()),
        **{key: model.config.info[key] for key in ("license", "attribution", "training_data", "not_validated_for")},
        "tasks": {task: list(classes) for task, classes in model.tasks.items()},
        "metrics": metrics,
    }
    manifest["default_tags"].setdefault(architecture, tag)
    path.with_suffix(".partial").write_text(json.dumps(manifest, indent=2) + "\n")
    load_manifest(path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


if __name__ == "__main__":
    main()
