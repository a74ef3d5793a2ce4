"""What can be measured. Imports nothing."""

QUICK = ("networks", "memory", "runtimes", "pair", "bulk", "startup")
ON_CARD = ("gpu", "compiled")  # of CUDA devices alone
PARTS = (*QUICK, "controls", "resolution", "lists", *ON_CARD)  # the time of these grows with what is asked
