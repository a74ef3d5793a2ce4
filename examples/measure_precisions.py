"""Measure what bf16 and int8 change in the answers of some weights, and record it beside them.

    python examples/measure_precisions.py --model amf_small.milk10k --data milk10k:FOLDER --splits split.csv --record

Answers the validation lesions through every runtime and precision that is installed and compares with
fp32. `--record` writes the changes into the weights' config.json (``info.precisions``), and, where they are listed, the new
config.json into weights_manifest.json. From then on `create_predictor(..., runtime="auto")` takes bf16 on processors that have
it, if no more than .005 macro-F1 was lost.

`--model` is a listed name or ``local-dir:FOLDER``. int8 is calibrated on lesions of the training split.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from manifest_file import changing, entry_of

from amfzoo import create_model
from amfzoo.data.records import evenly_spaced
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.evaluation.precisions import measure_precisions
from amfzoo.hub import resolve
from amfzoo.manifest import CONFIG_FILE, manifest_path
from amfzoo.runtimes.measured import record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="listed weights, or local-dir:FOLDER")
    parser.add_argument("--data", required=True, help="the source that they were trained on")
    parser.add_argument("--splits", type=Path, help="split.csv of the run, where the source has no splits")
    parser.add_argument("--words", help="for the lesions (default: the held-out part of the source)")
    parser.add_argument(
        "--lesions", type=int, help="take at most this many, evenly spaced (default: all of validation)"
    )
    parser.add_argument("--calibrate", type=int, default=96, help="training lesions for int8; 0: no int8 (default: 96)")
    parser.add_argument(
        "--only", nargs="+", metavar="RUNTIME/PRECISION", help="e.g. openvino/bf16 (default: all there are)"
    )
    parser.add_argument("--record", action="store_true", help="write into config.json and the manifest")
    args = parser.parse_args()

    logging.getLogger("amfzoo").setLevel(logging.ERROR)  # that nothing is measured yet need not be said
    lesions = load_source(args.data)
    if args.splits:
        lesions = read_split(lesions, args.splits)
    valid, train = lesions.split("valid"), evenly_spaced(lesions.split("train").lesions, args.calibrate)
    if args.lesions is not None:
        valid = replace(valid, lesions=evenly_spaced(valid.lesions, args.lesions))
    found = measure_precisions(
        create_model(args.model, True),
        valid,
        data=args.words or f"validation lesions of {lesions.name}",
        calibration=[(lesion.clinical, lesion.dermoscopy) for lesion in train] or None,
        only=None if args.only is None else [tuple(name.split("/")) for name in args.only],
    )
    for name, measured in found.items():
        print(f"{name}: {measured}")
        for what, by_task in (("", measured.changes), (", as called", measured.called_changes)):
            for task, changes in by_task.items():
                print(f"    {task}{what}: " + ", ".join(f"{mode} {change:+.4f}" for mode, change in changes.items()))
    if args.record:
        target = resolve(args.model, local_files_only=True)
        record(target.folder, found)
        if target.record is not None:
            with changing(manifest_path()) as manifest:
                manifest["weights"][target.record.name]["files"][CONFIG_FILE] = entry_of(target.folder / CONFIG_FILE)


if __name__ == "__main__":
    main()
