"""What Enter opens: a server, errors by kind, requests, a trigger's evidence, one decision."""
