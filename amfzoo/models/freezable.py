"""What `PairNetwork.freeze` knows. Imports nothing, so that settings may be checked before torch is loaded."""

STATISTICS = "statistics"
PARTS = ("clinical", "dermoscopy", "fusion", "heads", STATISTICS)
