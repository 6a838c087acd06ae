"""The limit: the fastest SQL that moves the same rows in the same tables, through the bare driver."""
