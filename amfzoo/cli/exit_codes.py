"""What the exit code of `amfzoo` says: the one place that defines it."""

from __future__ import annotations

from ..errors import AmfzooError, ConfigError, TableError, UnknownModelError, WeightsError

OK = 0
SOME_FAILED = 1
USAGE = 2
NO_WEIGHTS = 3
INTERRUPTED = 130  # 128 + SIGINT; a run ended by another signal adds that signal's number
BROKEN_PIPE = 141  # 128 + SIGPIPE, which Python turns into an exception

HELP = """\
exit codes:
  0    all done
  1    finished, but some rows or weights failed, or the one input could not be answered
  2    wrong usage, or a table that cannot be read or written
  3    no such model or weights, or they cannot be had or verified
  130  interrupted (143 if terminated); a table can be taken up with the same command
"""


def of_error(error: AmfzooError) -> int:
    """The exit code for an error that ends a command."""
    if isinstance(error, TableError):
        return USAGE
    if isinstance(error, (UnknownModelError, WeightsError, ConfigError)):
        return NO_WEIGHTS
    return SOME_FAILED
