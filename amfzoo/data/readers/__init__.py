"""One module per data set, and what they share: tables, label strings, image paths."""
