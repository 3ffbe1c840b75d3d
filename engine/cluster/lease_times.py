"""How long a worker's permission lasts. Apart from `lease`, because every console's start and every rollback reads
these and nothing else of it."""

LEASE_S = 1.0
LAST_S = 0.1  # a worker makes no use of the end of its lease: a call checked just before is on its way by then
RENEW_S = 0.3
SEND_S = 0.05  # and if it is not, the engine counts on the call for so much longer
OUT_S = LEASE_S + SEND_S  # how long after a receipt the engine counts on a worker's calls
