"""`amfzoo train`: fine-tune a model on pairs of images."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..processes import is_first
from ..text_tables import columns
from . import exit_codes
from .options import usage_errors
from .signals import StopSignals
from .sources import add_columns, read_sources, with_splits

if TYPE_CHECKING:
    from ..data.records import LesionSet
    from ..training.config import TrainConfig

_DESCRIPTION = """\
Fine-tune a model on pairs of images; write a folder with the model, its figures on
validation, and all that is needed to repeat or continue the run. A stopped or killed run
goes on when the same command is given again. Several GPUs: torchrun --nproc-per-node 4
-m amfzoo train ... (they share each step). Needs pip install 'amfzoo[train]'.

Lesions of one patient are never split. Missing images and labels are fine: a lesion
teaches what is known of it.
"""


def add(commands: Any) -> None:
    from ..training.recipes import RECIPES

    recipes = "; ".join(f"{name}: {recipe.role}" for name, recipe in RECIPES.items())
    parser = commands.add_parser(
        "train",
        help="fine-tune a model on your pairs",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="amf_small, amf_small.TAG, local-dir:FOLDER or hf-hub:ORG/REPO (default: the recipe's, if it has one)",
    )
    parser.add_argument(
        "--pretrained", action="store_true", help="start from the default weights of a model named without TAG"
    )
    parser.add_argument("--data", metavar="SOURCE", required=True, action="append",
                        help="READER:PATH, e.g. milk10k:FOLDER, or a table that ends in .csv, .tsv, .txt, .parquet or .pq; repeat it to train on several together")  # fmt: skip
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder of the run (default for a recipe with a model: runs/RECIPE; --dry-run needs none)",
    )
    parser.add_argument("--recipe", metavar="RECIPE", default="default", help=f"{recipes} (default: %(default)s)")
    parser.add_argument(
        "--config", metavar="FILE", help="YAML file of settings, over the recipe; config.yaml of a run will do"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one setting, over both, e.g. --set epochs=30; --dry-run lists them all with their values, "
        "`python -m pydoc amfzoo.training.TrainConfig` says what each is",
    )
    parser.add_argument(
        "--clinical-weights",
        metavar="FILE|timm|NAME",
        help="what the clinical branch starts from: a safetensors file of the backbone; 'timm', which fetches timm's own; "
        "or a model by name, of which this branch is taken (NAME#dermoscopy: its other one)",
    )
    parser.add_argument("--dermoscopy-weights", metavar="FILE|timm|NAME", help="the same for the other branch")
    parser.add_argument(
        "--network", metavar="KEY=VALUE", action="append", default=[],
        help="change the network, as create_model does, e.g. --network fusion=none --network dermoscopy=convnext_tiny, "
        "or clinical=null for one branch",
    )  # fmt: skip
    parser.add_argument(
        "--valid", metavar="SHARE", type=float, help="share held out where the data has no split (default: 0.2)"
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, help="another one draws other weights, orders and splits (default: 0)"
    )
    parser.add_argument(
        "--seeds", metavar="N", type=int,
        help="N runs with seeds from --seed on, each judged on the test split; writes leaderboard.md",
    )  # fmt: skip
    parser.add_argument(
        "--folds", metavar="N", type=int,
        help="cross-validation: N runs, each without another part of the lesions, and one network that all of them have taught, the "
        "mean of the weights; for few lesions",
    )  # fmt: skip
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument(
        "--dry-run", action="store_true", help="show settings, classes, size and time per epoch, and write nothing"
    )
    parser.add_argument("--overwrite", action="store_true", help="throw away an earlier run in DIR and start over")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress; errors and warnings only")
    add_columns(parser)
    parser.set_defaults(run=usage_errors()(run), parser=parser)


def run(args: argparse.Namespace) -> int:
    from ..training.config import load_config, parse_setting

    _fill_in(args)
    settings = dict(map(parse_setting, args.set))
    settings.update({name: value for name in ("valid", "seed") if (value := getattr(args, name)) is not None})
    config = load_config(args.recipe, args.config, **settings)
    weights = {
        name: value for name in ("clinical", "dermoscopy") if (value := getattr(args, f"{name}_weights")) is not None
    }
    # None, not False: of a name that names weights, `create_model` knows
    start: dict[str, Any] = {"pretrained": True if args.pretrained else None, "backbone_weights": weights or None}
    start["network"] = dict(map(parse_setting, args.network)) or None
    if args.dry_run:
        return _dry_run(args, config, start)
    from ..training.api import finetune
    from ..training.errors import TrainingStopped

    with StopSignals() as signals:
        how = {
            "out": args.out, "config": config, "device": args.device, "overwrite": args.overwrite,
            "should_stop": signals.stop, "progress": not args.quiet, **start,
        }  # fmt: skip
        try:
            if args.seeds:
                from ..training.protocol import LEADERBOARD_FILE as summary
                from ..training.protocol import train_seeds

                train_seeds(args.model, _lesions(args), seeds=_seeds(args, config), **how)
            elif args.folds:
                from ..training.folds import train_folds
                from ..training.report import SUMMARY_FILE as summary

                train_folds(args.model, _lesions(args), folds=args.folds, **how)
            else:
                from ..training.report import SUMMARY_FILE as summary

                finetune(args.model, _lesions(args), **how)
        except TrainingStopped as stopped:
            again = " (without --overwrite)" if args.overwrite else ""
            print(f"amfzoo: {stopped}{again}", file=sys.stderr)
            return 128 + signals.received if signals.received else exit_codes.INTERRUPTED
        finally:
            _end_communication()
    if not args.quiet and is_first():
        print((Path(args.out).expanduser() / summary).read_text(encoding="utf-8"))
    return exit_codes.OK


def _fill_in(args: argparse.Namespace) -> None:
    """Model and folder, where they are left out, as the recipe says."""
    from ..training.recipes import RECIPES

    own = RECIPES[args.recipe].model if args.recipe in RECIPES else ""
    if args.seeds is not None and args.seeds < 1:
        args.parser.error(f"--seeds must be at least 1, got {args.seeds}")
    if args.folds is not None and args.folds < 2:
        args.parser.error(f"--folds must be at least 2, got {args.folds}")
    for name in ("seeds", "valid"):
        if args.folds and getattr(args, name) is not None:
            args.parser.error(
                f"--folds and --{name} exclude each other: the folds say what is held out, and --seed how they are cut"
            )
    if args.recipe not in RECIPES:
        return  # the recipe's error says more
    if args.model is None:
        if not own:
            args.parser.error("--model is needed: this recipe names none")
        args.model, args.pretrained = own, True
    if args.out is None and not args.dry_run:
        if not own:
            args.parser.error("--out is needed: this recipe names no folder")
        args.out = f"runs/{args.recipe}"


def _seeds(args: argparse.Namespace, config: TrainConfig) -> range:
    return range(config.seed, config.seed + args.seeds)


def _lesions(args: argparse.Namespace) -> LesionSet:
    return with_splits(args, read_sources(args, args.data))


def _end_communication() -> None:
    """Part with the other processes of a torchrun in order."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _dry_run(args: argparse.Namespace, config: TrainConfig, start: dict[str, Any]) -> int:
    from ..evaluation.cases_file import check_task_names
    from ..models.parts import parameters
    from ..training.device import make_accelerator
    from ..training.estimate import seconds_per_epoch
    from ..training.optimizer import make_optimizer
    from ..training.prepare import build_model, task_names, with_advice, with_start_share
    from ..training.refusals import check_fold, check_run, usable
    from ..training.splits import folds_of, split_lesions

    lesions = _lesions(args)
    if args.seeds:
        from ..training.protocol import lesions_with_split

        lesions = lesions_with_split(lesions, _seeds(args, config))
    folds = folds_of(lesions, args.folds, config.seed) if args.folds else []
    lesions = folds[0] if folds else lesions
    lesions = split_lesions(lesions, config.valid, config.seed)
    config = with_advice(config, lesions)
    check_task_names(lesions.tasks)
    task_names(lesions.tasks, config.task_weights, "task_weights")
    task_names(lesions.tasks, config.class_weights_kept, "class_weights_kept")
    begun = build_model(args.model, lesions.tasks, config, **start)
    network = begun.network
    config = with_start_share(config, begun.learned)
    make_optimizer(network, config)  # says so if there is none of that name
    accelerator = make_accelerator(config, None, args.device)
    for number, fold in enumerate(folds):
        check_fold(config, fold.split("valid"), network.preprocess, number)
    check_run(network, lesions, config)
    train = usable(lesions.split("train"), network.preprocess)
    seconds = seconds_per_epoch(network, config, len(train), accelerator.device) if len(train) else 0.0
    print("settings")
    for name, value in config.to_dict().items():
        print(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")  # as --set takes it: null, true
    print(f"model\n  {begun.start}, {parameters(network) / 1e6:.2f} M parameters")
    runs, where = args.folds or args.seeds or 1, " in the first fold" if args.folds else ""
    print(f"data\n  {lesions.name}: {len(lesions)} lesions, {len(train)} to train on{where}")
    print("\n".join(_class_table(lesions)))
    print(
        f"time\n  about {_duration(seconds)} per epoch on {accelerator.device}, "
        f"{_duration(seconds * config.epochs * runs)} in all{f' {runs} runs' * (runs > 1)}, without decoding"
    )
    return exit_codes.OK


def _class_table(lesions: LesionSet) -> list[str]:
    """Lesions of each class and split, and those that a label narrows down or says nothing of."""
    splits = {name: lesions.split(name) for name in ("train", "valid", "test")}
    rows: list[tuple[str, ...]] = [("  task", "class", *splits)]
    for task, classes in lesions.tasks.items():
        counts = {name: part.counts(task) for name, part in splits.items()}
        rows += [(f"  {task}", name, *(str(counts[split][name]) for split in splits)) for name in classes]
        for title, chosen in (("(several candidates)", lambda n: n > 1), ("(unknown)", lambda n: n == 0)):
            rows.append(
                (
                    f"  {task}",
                    title,
                    *(str(sum(chosen(len(lesion.candidates(task))) for lesion in part)) for part in splits.values()),
                )
            )
    return columns(rows)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
