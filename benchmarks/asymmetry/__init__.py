"""Does asymmetry pay? Variants of one family of networks, alike in all but the structure, on the same lesions.

    python -m benchmarks.asymmetry run --data milk10k:FOLDER --splits split.csv --out study
    python -m benchmarks.asymmetry cost --out study
    python -m benchmarks.asymmetry report --out study

See README.md in this folder.
"""
