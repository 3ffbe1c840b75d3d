"""How long a worker's permission lasts. Apart from `lease`, because every console's start and every rollback reads
these and nothing else of it."""

LEASE_S = 1.0
RENEW_S = 0.3
SEND_S = 0.05  # from a worker's last check to the first byte of its call
OUT_S = LEASE_S + SEND_S  # how long after a receipt the engine counts on a worker's calls
