"""`python -m amfzoo.data.synthetic FOLDER`: write the example pair."""

from __future__ import annotations

import argparse

from .example import write_example


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m amfzoo.data.synthetic", description="Draw the example pair (not a real lesion)."
    )
    parser.add_argument("folder", help="where to write clinical.jpg and dermoscopy.jpg")
    for path in write_example(parser.parse_args(arguments).folder):
        print(path)


if __name__ == "__main__":
    main()
