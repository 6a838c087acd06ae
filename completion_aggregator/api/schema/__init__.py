"""What OpenAPI tells of the API; `make schema` writes docs/reference/openapi.yaml from it.

The views wear the decorators of `operations`. Nothing here does any work: answers are made by
completion_aggregator.serializers, parameters are read by completion_aggregator.api.parameters.
"""
