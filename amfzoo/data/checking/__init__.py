"""Reading a whole source once and saying what is wrong with it."""
