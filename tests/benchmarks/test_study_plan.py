"""The study's rows are what its table says they are."""

import copy
from pathlib import Path

import pytest
import torch

from amfzoo.errors import ConfigError
from benchmarks.asymmetry import records
from benchmarks.asymmetry.cost import gmac, parameters
from benchmarks.asymmetry.plan import DEFAULT_FILE, make_study, read_plan
from benchmarks.asymmetry.runs import build, check_weights

TASKS = {"diagnosis": ("a", "b", "c")}
LIGHT, HEAVY = "mobilenetv2_035", "mobilenetv2_100"


@pytest.fixture
def plan() -> dict:
    return read_plan(DEFAULT_FILE)


def test_variants_of_the_small_family(plan):
    rows = {row.name: row.described() for row in make_study(plan).select(["small"]).rows if not row.ablation}
    assert {name: (c.clinical, c.dermoscopy, c.fusion) for name, c in rows.items()} == {
        "asymmetric": (LIGHT, HEAVY, "asymmetric"),
        "symmetric": (HEAVY, HEAVY, "mutual"),
        "symmetric-plain": (HEAVY, HEAVY, "none"),
        "reversed": (HEAVY, LIGHT, "asymmetric"),
        "asymmetric-plain": (LIGHT, HEAVY, "none"),
        "dermoscopy": (None, HEAVY, "none"),
        "clinical": (HEAVY, None, "none"),
    }


def test_what_belongs_to_a_backbone_moves_with_it(plan):
    rows = {row.name: row.described() for row in make_study(plan).select(["small"]).rows}
    plain, turned = rows["asymmetric"], rows["reversed"]
    assert turned.dermoscopy_args == plain.clinical_args == {"pad_type": "same", "bn_eps": 1e-3}
    assert turned.clinical_args == plain.dermoscopy_args == {}
    assert turned.dermoscopy_preprocess == plain.clinical_preprocess
    assert turned.clinical_preprocess == plain.dermoscopy_preprocess == rows["symmetric"].clinical_preprocess


def test_strides_of_a_family_move_with_the_backbone(plan):
    plan["families"] = {
        "cut": {"model": "amf_test", "network": {"dermoscopy_strides": [8, 16], "clinical_strides": [16, 32]}}
    }
    turned = {row.name: row.described() for row in make_study(plan).rows}["reversed"]
    assert (turned.clinical_strides, turned.dermoscopy_strides) == ((8, 16), (16, 32))


def test_each_ablation_changes_one_thing_of_the_asymmetric_row(plan):
    rows = make_study(plan).select(["small"]).rows
    base = next(row for row in rows if row.name == "asymmetric")
    for row in (row for row in rows if row.ablation):
        assert row.control == "asymmetric"
        network, own = row.described().to_dict()["network"], base.described().to_dict()["network"]
        changed = {key for key in own if network[key] != own[key]} - {"clinical_strides", "dermoscopy_strides"}
        changed |= {"strides"} if network["clinical_strides"] != own["clinical_strides"] else set()
        changed |= {key for key, value in row.config(0).to_dict().items() if value != base.config(0).to_dict()[key]}
        assert len(changed) == 1, row.name


def test_variants_of_a_family_share_one_recipe(plan):
    for family in plan["families"]:
        variants = [row for row in make_study(plan).select([family]).rows if not row.ablation]
        assert all(row.config(1) == variants[0].config(1) for row in variants)


def test_same_seed_same_start(plan):
    row = next(iter(make_study(plan).rows))
    one, two, other = (build(row, TASKS, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_parameters_and_gmac_of_backbones_are_the_known_ones(plan):
    rows = {row.name: row for row in make_study(plan).select(["small"]).rows}
    alone = build(rows["dermoscopy"], TASKS)
    # MobileNetV2 1.0 without classifier: 2.22 M parameters, 0.30 GMAC at 224 pixels
    assert sum(p.numel() for p in alone.branches.parameters()) / 1e6 == pytest.approx(2.22, abs=0.01)
    assert parameters(alone) == sum(p.numel() for p in alone.parameters())
    assert gmac(alone, 224) == pytest.approx(0.30, abs=0.01)
    both = build(rows["symmetric-plain"], TASKS)
    assert gmac(both, 224) == pytest.approx(2 * gmac(alone, 224), rel=1e-3)


def test_attention_is_counted_in_full(plan):
    rows = {row.name: row for row in make_study(plan).select(["small"]).rows}
    attended, plain = build(rows["asymmetric"], TASKS), build(rows["asymmetric-plain"], TASKS)
    expected = 0
    for block, side in zip(attended.fusion.enhance, (160 // 16, 160 // 32), strict=True):
        tokens, own, context = side**2, block.to_query.in_features, block.to_key.in_features
        # projections of queries and result, of keys and values; products of queries with keys and with values
        expected += tokens * 128 * (2 * own + 2 * context) + 2 * tokens**2 * 128
    assert gmac(attended, 160) - gmac(plain, 160) == pytest.approx(expected / 1e9, rel=1e-6)


def test_auxiliary_heads_are_not_counted(plan):
    row = next(iter(make_study(plan).rows))
    network = build(row, TASKS)
    kept = parameters(network)
    trained = type(network)(network.config.replace(auxiliary_heads=True))
    assert parameters(trained) == kept < sum(p.numel() for p in trained.parameters())


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("seeds", [0, 0], "seeds"),
        ("seeds", [True], "seeds"),
        ("control", "nothing", "control 'nothing' is none of its variants"),
        (
            "variants",
            {"symmetric": {"network": {"fusio": "none"}}},
            "row 'symmetric' of the family 'small': unknown setting fusio",
        ),
        ("variants", {"symmetric": {"recipe": {"epoch": 1}}}, "did you mean 'epochs'"),
        ("variants", {"symmetric": {"fusion": "none"}}, "a row has the parts"),
        ("variants", {"symmetric": {}, "../x": {}}, "names a folder"),
        ("families", {"small": {"model": "amf_smal"}}, "family 'small'"),
        ("familie", {}, "unknown: familie"),
    ],
)
def test_mistakes_in_a_plan_are_named(plan, part, value, message):
    wrong = {**copy.deepcopy(plan), "ablated": "symmetric", "ablations": {}, part: value}
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        make_study(wrong)


def test_all_backbones_or_none_start_from_given_weights(plan, tmp_path):
    whole = make_study(plan)
    study = whole.select(["small"])
    check_weights(study, {}, whole)
    check_weights(study, {LIGHT: "random", HEAVY: "timm"}, whole)
    check_weights(study.select(names=["dermoscopy"]), {LIGHT: "random", HEAVY: "timm"}, whole)
    with pytest.raises(ConfigError, match=f"but not for {LIGHT}"):
        check_weights(study, {HEAVY: "timm"}, whole)
    with pytest.raises(ConfigError, match="no row has this backbone"):
        check_weights(study, {"resnet18": "timm"}, whole)
    with pytest.raises(ConfigError, match="there is no file"):
        check_weights(study, {LIGHT: "random", HEAVY: str(tmp_path / "none")}, whole)


@pytest.mark.parametrize("name", ["small", "base", "from_nothing"])
def test_published_runs_are_those_of_their_plan(name):
    """Else `report` and `run` refuse results/asymmetry, whatever the settings that training has learned since."""
    out = Path(__file__).parents[2] / "results" / "asymmetry" / name
    if not out.exists():
        pytest.skip("needs a checkout: a wheel has no results")
    study = make_study(records.read_study(out)["plan"])
    folders = [(row, seed, records.run_folder(out, row, seed)) for row in study.rows for seed in study.seeds]
    done = [(row, seed, folder) for row, seed, folder in folders if records.finished(folder)]
    assert done
    for row, seed, folder in done:
        made = records.read_json(folder / records.RUN_FILE)
        records.check_same(folder, records.identity(row, seed, made["weights"], made["data"]))
        records.check_same(folder, made)  # as `report --to` compares them
