"""What files of tables end in, lower case. Imports nothing, so that the command line may look before it loads anything."""

PARQUET = ".parquet"  # what we write
PARQUETS = (PARQUET, ".pq")
TABLES = (".csv", ".tsv", ".txt", *PARQUETS)
