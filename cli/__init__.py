"""The command line `strata`, and a client that scripts can import. Talks HTTP, starts processes."""
