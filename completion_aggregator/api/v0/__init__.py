"""Version 0 of the REST API, for clients that have not moved to version 1."""
