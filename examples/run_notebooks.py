"""Run the notebooks of this folder from top to bottom and store their outputs in them, without traces of the machine.

    python examples/run_notebooks.py                                # all of them, after a change to one or to amfzoo
    python examples/run_notebooks.py examples/predict_and_explain.ipynb

Needs nbformat, nbclient and ipykernel (extra `dev`). A notebook whose cell fails is left as it was.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
CELL_SECONDS = 300
_NO_BARS = "ignore:IProgress not found"  # a warning of tqdm that quotes a path; no notebook shows a bar


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same cells with the outputs of a fresh kernel, which starts in an empty folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    notebook = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,  # else times of day would be stored
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env={**os.environ, "PYTHONWARNINGS": _NO_BARS})
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            if "metadata" in output:  # of pictures only their text for those who do not see them is of use
                output.metadata = {
                    kind: {"alt": options["alt"]} for kind, options in output.metadata.items() if "alt" in options
                }
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in this folder")
    for path in parser.parse_args().notebooks or sorted(HERE.glob("*.ipynb")):
        done = execute(nbformat.read(path, as_version=4))
        nbformat.validate(done)
        nbformat.write(done, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
