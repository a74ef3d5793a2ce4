"""What networks cost and how fast they answer, beside what else one could use, in one run.

Everything that is compared is timed in turn, round after round, so that ratios hold on a
machine whose speed drifts; figures are medians with the least and the greatest of the
rounds. `run.run_benchmark` does all of it; `amfzoo benchmark` is its command.

Layout: `timing` the rounds, `cost` counts of parameters and arithmetic, `subjects` the
networks to compare, `speed`, `pair`, `bulk`, `growth` and `startup` one kind of
measurement each, `card`, `gpu` and `kernels` what a CUDA device reaches, `children` what
needs a process of its own, `result` the tables. Imports nothing by itself, so that the
command line can ask for `parts`.
"""
