"""The callable of Ray Data: by itself, and on a local Ray that loses an actor."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from cli_case import pictures, read_table, tiny_model, write_table

from amfzoo import ConfigError, PredictionError, create_model
from amfzoo.inference.table import predict_table
from amfzoo.integrations.ray import PairPredictor

GOOD = [("c0.jpg", "d0.jpg"), ("", "d1.jpg"), ("c1.jpg", "d1.jpg"), ("c1.jpg", "")]
ROWS = [(str(i), *GOOD[i % 4]) for i in range(40)]
ROWS[21] = ("21", "gone.jpg", "d0.jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures, the model's weights, and what `predict_table` answers."""
    folder = tmp_path_factory.mktemp("ray")
    pictures(folder)
    saved = tiny_model().save_pretrained(folder / "weights")
    source = write_table(folder / "pairs.csv", ROWS)
    predict_table(create_model(f"local-dir:{saved}"), source, folder / "answers.csv")
    return folder


@pytest.fixture
def options(folder):
    return {"model": f"local-dir:{folder / 'weights'}", "root": folder, "runtime": "torch"}


def columns(rows=ROWS):
    names = ("id", "clinical", "dermoscopy")
    return {name: np.array(cells, dtype=object) for name, cells in zip(names, zip(*rows))}


def check(found, folder):
    """Rows of the answers, by id, are those of the table."""
    expected = {row["id"]: row for row in read_table(folder / "answers.csv")}
    assert sorted(row["id"] for row in found) == sorted(expected)
    for row in found:
        for name, cell in expected[row["id"]].items():
            if ":" in name or name == "seven_point_score":
                assert row[name] == pytest.approx(float(cell or "nan"), abs=1e-6, nan_ok=True)
            else:
                assert row[name] == cell


def rows_of(found):
    return [dict(zip(found, cells)) for cells in zip(*found.values())]


def test_answers_are_those_of_the_table(folder, options):
    found = PairPredictor(**options, batch_size=3)(columns())
    assert list(found)[:4] == ["id", "clinical", "dermoscopy", "model"] and list(found)[-1] == "error"
    assert found["diagnosis:MEL"].dtype == np.float64
    check(rows_of(found), folder)
    unguarded = PairPredictor(**options, guards=False)(columns(ROWS[:2]))
    assert "warnings" in found and set(found) - set(unguarded) == {"warnings"}


def test_bytes_arrays_and_missing_images(folder, options):
    from PIL import Image

    predictor = PairPredictor(**options, keep_images=False, prefix="amf_")
    as_bytes = [
        (folder / name).read_bytes() if name else missing for (name, _), missing in zip(GOOD, (None, np.nan, 1, 1))
    ]
    as_array = [np.asarray(Image.open(folder / name)) if name else None for _, name in GOOD]
    batch = {"clinical": np.empty(4, object), "dermoscopy": np.empty(4, object), "site": np.arange(4)}
    for i in range(4):
        batch["clinical"][i], batch["dermoscopy"][i] = as_bytes[i], as_array[i]
    found, paths = predictor(batch), PairPredictor(**options)(columns(ROWS[:4]))
    assert "clinical" not in found and "dermoscopy" not in found and list(found["site"]) == [0, 1, 2, 3]
    assert list(found["amf_missing"]) == ["", "clinical", "", "dermoscopy"]
    np.testing.assert_allclose(found["amf_diagnosis:MEL"], paths["diagnosis:MEL"], atol=1e-6)


def test_structs_of_pictures_as_the_library_datasets_writes_them(folder, options):
    """As the columns of a Parquet table, which `amfzoo predict` answers."""
    clinical = [{"bytes": (folder / "c0.jpg").read_bytes(), "path": None}, {"bytes": None, "path": "c1.jpg"}]
    clinical += [{"bytes": None, "path": None}, {"bytes": b"broken", "path": "x.jpg"}]
    batch = columns([(str(i), struct, "d0.jpg") for i, struct in enumerate(clinical)])
    found = PairPredictor(**options)(batch)
    paths = PairPredictor(**options)(columns([("0", "c0.jpg", "d0.jpg"), ("1", "c1.jpg", "d0.jpg")]))
    np.testing.assert_array_equal(found["diagnosis:MEL"][:2], paths["diagnosis:MEL"])
    assert list(found["missing"]) == ["", "", "clinical", ""]
    assert list(found["error"])[:3] == ["", "", ""] and found["error"][3].startswith("clinical image, x.jpg: ")


@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_a_batch_of_another_format_is_refused_by_name(options, kind):
    if kind == "pandas":
        batch = pytest.importorskip("pandas").DataFrame(columns(ROWS[:2]))
    else:
        batch = pytest.importorskip("pyarrow").table({name: list(cells) for name, cells in columns(ROWS[:2]).items()})
    with pytest.raises(ConfigError, match=f'{type(batch).__name__}.*batch_format="numpy"'):
        PairPredictor(**options)(batch)


@pytest.mark.parametrize(("rooted", "empty"), [(True, "NA"), (False, "NA"), (True, "None"), (False, "None")])
def test_na_is_a_missing_image_and_no_path(folder, options, rooted, empty):
    batch = columns(ROWS[:1])
    batch["dermoscopy"][0] = str(folder / batch["dermoscopy"][0])
    batch["clinical"][0] = empty
    found = PairPredictor(**options | ({} if rooted else {"root": None}))(batch)
    assert list(found["missing"]) == ["clinical"] and list(found["error"]) == [""]


def test_names_mean_the_files_that_they_mean_in_a_table(folder, options, monkeypatch):
    (folder / "blank .jpg ").write_bytes((folder / "c0.jpg").read_bytes())
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    batch = columns([("0", "blank .jpg ", ".\\d0.jpg"), ("1", "~/c0.jpg", "")])
    found = PairPredictor(**options | {"root": None})(batch)
    assert list(found["error"]) == ["", ""]


def test_an_empty_batch_has_the_same_columns(options):
    predictor = PairPredictor(**options)
    empty = predictor({name: values[:0] for name, values in columns().items()})
    full = predictor(columns(ROWS[:2]))
    assert {name: values.dtype for name, values in empty.items()} == {n: v.dtype for n, v in full.items()}
    assert all(len(values) == 0 for values in empty.values())


def test_columns_that_do_not_fit(options):
    with pytest.raises(ConfigError, match="no column 'photo'.*'clinical'"):
        PairPredictor(**options, clinical="photo")(columns())
    with pytest.raises(ConfigError, match="'error' is also.*prefix="):
        PairPredictor(**options)({**columns(), "error": np.zeros(40)})
    alone = PairPredictor(**options, clinical=None)(columns(ROWS[:1]))
    assert list(alone["missing"]) == ["clinical"]


def test_one_column_is_not_both_images(options):
    """As in a table: it would be answered, and wrongly."""
    with pytest.raises(ConfigError, match="'dermoscopy', which cannot be both images"):
        PairPredictor(**options, clinical="dermoscopy")
    with pytest.raises(ConfigError, match="names no column"):
        PairPredictor(**options, clinical=None, dermoscopy=None)


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_a_batch_size_that_is_none_is_refused_where_the_actor_starts(options, count):
    with pytest.raises(PredictionError, match="batch_size must be a whole number"):
        PairPredictor(**options, batch_size=count)


@pytest.fixture(scope="module")
def ray():
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = pytest.importorskip("ray", reason="needs the extra `ray`")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_lost_actor_costs_no_row_and_doubles_none(ray, folder, options, tmp_path):
    import ray.data

    class DiesOnce(PairPredictor):  # here, so that the actors need not find this file
        def __call__(self, batch):
            died = tmp_path / "died"
            if "13" in batch["id"] and not died.exists():
                died.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
            found = super().__call__(batch)
            return {**found, "process": np.full(len(found["id"]), os.getpid())}

    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [dict(zip(("id", "clinical", "dermoscopy"), row)) for row in ROWS]
    answered = ray.data.from_items(items, override_num_blocks=10).map_batches(
        DiesOnce, fn_constructor_kwargs=options, batch_size=4, compute=ray.data.ActorPoolStrategy(size=2), num_cpus=1,
    )  # fmt: skip
    found = answered.take_all()
    assert int((tmp_path / "died").read_text()) not in {row["process"] for row in found if row["id"] == "13"}
    check(found, folder)
