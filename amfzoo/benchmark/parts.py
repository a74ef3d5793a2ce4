"""What can be measured. Imports nothing."""

PARTS = ("networks", "memory", "runtimes", "pair", "bulk", "startup", "resolution", "lists")
QUICK = PARTS[:6]  # the time of the others grows with what is asked
