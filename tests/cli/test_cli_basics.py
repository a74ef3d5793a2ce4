"""Help, version, exit codes, and what a light command may cost."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from cli_case import ROOT, amfzoo_process

import amfzoo
from amfzoo.cli import exit_codes
from amfzoo.inference import table_batch

LIGHT = """
import json, sys
from amfzoo.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["info", "amf_test.tiny"], ["--help"], ["predict", "--help"], ["export", "--help"], ["--version"]],
)
def test_light_commands_import_nothing_heavy(arguments, released):
    ended = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(ended.stderr)
    assert code == 0 and ended.stdout.strip()
    assert not {"torch", "timm", "numpy", "PIL", "huggingface_hub", "safetensors", "tqdm"} & set(modules)
    assert len(modules) < 260  # about 200, most of them Python's own, where numpy alone would bring a hundred


def test_help_says_what_there_is(run):
    text = run("--help").out
    for word in ("list", "info", "download", "verify", "predict", "export", "exit codes:", "not a medical device"):
        assert word in text
    assert run("--version").out == f"amfzoo {amfzoo.__version__}\n"
    bare = run()
    assert (bare.code, bare.out) == (exit_codes.USAGE, "") and "commands" in bare.err


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "--nonsense"], ["list", "--json", "--markdown"], ["info"]]
)
def test_wrong_usage(run, arguments):
    ended = run(*arguments)
    assert ended.code == exit_codes.USAGE and "usage:" in ended.err and not ended.out


def test_help_names_the_batch_size_that_is_taken(run):
    taken = f"default: {table_batch._IN_A_LANE} for each core, 16 to {table_batch._IN_A_LANE * table_batch.LANES}"
    assert f"{taken}; on CUDA as many as fit, up to {table_batch.MOST})" in " ".join(
        run("predict", "--help").out.split()
    )


@pytest.mark.parametrize(
    "command", ["download", "verify", "predict", "demo", "export", "recalibrate", "evaluate", "benchmark", "train"]
)
def test_help_says_how_weights_are_named(run, command):
    help = re.sub(r"-\s+", "-", run(command, "--help").out)
    assert all(word in help for word in ("amf_small.TAG", "hf-hub:ORG/REPO", "local-dir:FOLDER"))


def test_errors_are_one_line(run):
    ended = run("info", "amf_smal")
    assert ended.code == exit_codes.NO_WEIGHTS
    assert ended.err.startswith("amfzoo: error: ") and "amf_small" in ended.err and ended.err.count("\n") == 1


def test_the_last_words_of_torchrun_are_the_error(run, tmp_path, monkeypatch):
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))  # as torchrun does
    ended = run("info", "amf_smal")
    failure = ProcessFailure(local_rank=0, pid=1, exitcode=ended.code, error_file=str(file))
    *_, last, _ = str(ChildFailedError("amfzoo", {0: failure})).splitlines()
    assert last.split(":", 1)[1].strip() == ended.err.strip()


def test_a_closed_pipe_is_no_error():
    process = amfzoo_process("list", "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == exit_codes.BROKEN_PIPE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_the_output_is_one_line(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "amfzoo", "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (
        done.returncode == 1 and done.stderr == "amfzoo: error: the output cannot be written: No space left on device\n"
    )
    limited = f"ulimit -f 1 && exec {shlex.quote(sys.executable)} -m amfzoo info amf_small.open --json > {tmp_path / 'out.json'}"
    done = subprocess.run(["bash", "-c", limited], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr == "amfzoo: error: the output cannot be written: File too large\n"


@pytest.mark.parametrize("arguments", ["list", "list --json"])
def test_a_closed_output_is_no_error(arguments):
    command = f"{shlex.quote(sys.executable)} -m amfzoo {arguments} >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments, code",
    [("info nope --json", exit_codes.NO_WEIGHTS), ("list --nope", exit_codes.USAGE), ("", exit_codes.USAGE)],
)
def test_with_a_closed_error_output_errors_do_not_go_among_the_answers(arguments, code):
    command = f"{shlex.quote(sys.executable)} -m amfzoo {arguments} 2>&-"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locales")
def test_the_c_locale_gets_escapes_for_what_it_cannot_show_and_file_names_as_they_are(tmp_path):
    c_locale = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    c_locale.pop("PYTHONIOENCODING", None)
    named = os.fsencode(tmp_path / "wéights")  # which holds the weights: no copy of megabytes
    os.symlink(ROOT / "amfzoo" / "weights" / "amf_small.open", named)
    command = [sys.executable, "-m", "amfzoo"]
    done = subprocess.run([*command, "info", "amf_small.open"], env=c_locale, capture_output=True)
    assert done.returncode == 0 and rb"\u2020" in done.stdout, done.stderr
    done = subprocess.run([*command, "download", b"local-dir:" + named], env=c_locale, capture_output=True)
    assert done.stdout.strip() == named, done.stderr
