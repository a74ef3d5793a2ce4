"""What can be measured. Imports nothing."""

QUICK = ("networks", "memory", "runtimes", "pair", "bulk", "startup")
PARTS = (*QUICK, "controls", "resolution", "lists")  # the time of these grows with what is asked
