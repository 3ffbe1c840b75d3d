"""One call to one server, and what its outcome changes: the window's size, the breaker, the document's time."""

from __future__ import annotations

import asyncio

from engine.extraction.llm import prompt
from engine.extraction.llm.deadline import DocumentProgress
from engine.extraction.llm.failure import SERVICE, ErrorKind, Fault, NotPermitted
from engine.extraction.llm.http import Http
from engine.extraction.llm.protocol import ModelReply
from engine.extraction.llm.queue import Slot
from engine.extraction.llm.server import COLD_MS, Server
from engine.plan.model import Llm

SHUT_MOST_S = 3600.0  # an account's limit may be raised in the meantime: one call an hour checks


async def call(
    slot: Slot, piece: str, document: DocumentProgress, http: Http, config: Llm, limit_s: float | None, other_seed: bool
) -> ModelReply:
    """Send one piece to the slot's server and settle the slot, however it ends. Raises Fault, NotPermitted.

    `limit_s`: this server's share of the document's deadline; None = all of it.
    """
    server, window = slot.server, slot.server.window
    began = 0.0
    try:
        await _readied(server, document, http, limit_s)
        _permitted(document)
        began = server.now()
        async with asyncio.timeout(limit_s):
            reply = await _sent(server, piece, document, http, config, other_seed)
        cold_ms = reply.load_ms if reply.load_ms >= COLD_MS else 0.0
        document.load_ms += cold_ms
        took = max(0.0, server.now() - began - cold_ms / 1000)
        window.answered(slot.ticket, took, server.now())
        server.succeeded(took * 1000)
        return reply
    except TimeoutError:
        late = Fault(ErrorKind.timeout, f"{server.url} did not answer in {server.now() - began:.1f} s")
        _unanswered(slot, late, began)
        raise late from None
    except Fault as fault:
        counted = server.on_loading(fault)
        _learn_from(counted, slot, config.timeout_s)
        raise counted from None
    except BaseException as error:  # cancelled, or no longer permitted
        if began and document.deadline.expired() and isinstance(error, asyncio.CancelledError):
            document.hung = True
            ran = server.now() - began
            if ran >= config.timeout_s / 2:
                _unanswered(slot, Fault(ErrorKind.timeout, f"no answer in {ran:.1f} s"), began)
                raise
        # also a call that got only the rest of the deadline, after the document's other pieces: no evidence
        window.drop(slot.ticket)
        server.breaker.undecided(slot.probe)
        raise


async def _sent(
    server: Server, piece: str, document: DocumentProgress, http: Http, config: Llm, other_seed: bool
) -> ModelReply:
    """Send the piece's prompt and return what the server answers. Raises Fault."""
    asked = prompt.build(
        piece, max_descriptive=config.max_descriptive, max_technical=config.max_technical, max_total=config.max_total
    )
    document.send(server.url)
    document.run()
    try:
        return await server.ask(
            http, asked, seed=2 if other_seed else 1, hot=other_seed, resend=lambda: _resend(document, server.url)
        )
    finally:
        document.halt()


def _unanswered(slot: Slot, late: Fault, began: float) -> None:
    slot.server.window.late(slot.ticket, slot.server.now())
    slot.server.unanswered(late, began, slot.probe)


async def _readied(server: Server, document: DocumentProgress, http: Http, limit_s: float | None) -> None:
    """Wait until the model is loaded and the server responds. A document waits no longer than its deadline; loading
    continues for later ones."""
    began = server.now()
    patience_s = document.patience_s if limit_s is None else min(document.patience_s, limit_s)
    try:
        async with asyncio.timeout(patience_s):
            if not server.warm:
                _permitted(document)
                await server.warm_up(http)
            if server.silent:
                _permitted(document)
                await server.examine(http)
    except TimeoutError:
        raise server.not_ready(server.now() - began) from None
    finally:
        document.readied_s += server.now() - began


def _permitted(document: DocumentProgress) -> None:
    if not document.permit():
        raise NotPermitted(sent=document.sent)


def _resend(document: DocumentProgress, url: str) -> None:
    """Send the same question again in another dialect."""
    _permitted(document)
    document.send(url)


def _learn_from(fault: Fault, slot: Slot, patience_s: float) -> None:
    server, window, now = slot.server, slot.server.window, slot.server.now()
    if fault.kind is ErrorKind.quota or fault.after_s > patience_s:  # no document can wait that long
        window.drop(slot.ticket)
        server.note(fault)
        server.breaker.shut(now, min(SHUT_MOST_S, fault.after_s))
        return
    if fault.kind is ErrorKind.busy:
        alone = window.limit == 1
        window.busy(slot.ticket, now)
        if alone:  # the window cannot shrink further: other clients keep this server full
            server.failed(fault, slot.probe)
        else:
            server.note(fault)
            server.breaker.undecided(slot.probe)
        return
    if fault.kind is ErrorKind.loading:
        window.drop(slot.ticket)
        server.cool()
        server.note(fault)
        server.breaker.undecided(slot.probe)
        return
    if fault.kind is ErrorKind.timeout:
        window.late(slot.ticket, now)
    elif fault.kind is ErrorKind.out_of_memory:  # fewer parallel calls need less memory
        window.busy(slot.ticket, now)
    else:
        window.drop(slot.ticket)
    if fault.retry == "at_once":  # the server closed an idle connection: no evidence about the service
        server.breaker.undecided(slot.probe)
    elif fault.kind in SERVICE and not (fault.kind is ErrorKind.http and fault.retry == "other_seed"):
        if fault.kind in (ErrorKind.not_loaded, ErrorKind.transport):  # the server may come back with another model
            server.cool()
        server.failed(fault, slot.probe)
    else:
        server.note(fault)
        if slot.probe:  # it answered, and the probe tests nothing else
            server.breaker.succeeded()
