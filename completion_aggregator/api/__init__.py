"""The REST API: who may ask, which status, which page. docs/reference/rest.rst is its contract."""
