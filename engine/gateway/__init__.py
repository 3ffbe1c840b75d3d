"""A stateless gateway: POST /v1/extract on another core or machine, under a lease from the engine."""
