"""The pairs of the tests of shards: good ones, single images, and two that cannot be answered."""

GOOD = [("c0.jpg", "d0.jpg"), ("", "d1.jpg"), ("c1.jpg", "d1.jpg"), ("c1.jpg", "")]
ROWS = [(f"r{i}", *GOOD[i % 4]) for i in range(11)]
ROWS[4] = ("r4, with\na line", "gone.jpg", "d0.jpg")
ROWS[9] = ("r9", "", "")
