"""Deterministic simulation of whole rollouts.

A seed draws a script of about eighty moves over three weeks. The real engine (control loop, pipeline, pool, store,
control requests) runs it on a virtual clock and event loop; an observer outside it checks what must always hold.

- `script`: what happens and when; `moves/`: how each thing is done, one subject a file.
- `world`: one machine with a store, a disk, LLM servers and at most one engine.
- `people`: who acts, and the consoles they look at.
- `virtual`, `disk`, `folder`, `servers`, `plans`: the seams where a real machine would be.
- `observer`: what people know and what the wire shows; `records`: what the log and the store must show.
- `rollout`: runs one seed and shortens a failing one; `faults`: fixed faults, put back to prove that they are found.

Not modelled: HTTP and the unix socket (requests enter at `carry_out` and `Engine.extract`), workers, two engines at
once, steps of the wall clock, the screen's drawing, and the quality of keywords. `tests/engine/server` and
`tests/engine/service` test those.
"""
