"""What engine and worker exchange about documents."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from engine.cluster.lease import Count, Name
from engine.measures.record import Extraction
from engine.store.documents import DocumentWrite
from engine.store.jobs import ExtractedItem, Job, JobPart, Method

BATCH_DOCUMENTS = 100
BATCH_CHARS = 2_000_000  # characters of texts in one batch; a longer document travels alone
MOST_HELD = 100  # parts of one worker
REASON_CHARS = 500


class PartRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A worker asks for its next part. `holds`: those that it has not finished. `unreachable`: why it cannot read its
    sources or write its output now, as a sentence."""

    worker: Name
    job: Count
    holds: Annotated[frozenset[Count], Meta(max_length=MOST_HELD)] = frozenset()
    unreachable: Annotated[str, Meta(max_length=REASON_CHARS)] = ""


class PartGrant(Struct, frozen=True):
    """The next part, and the documents of it that are stored already. Without a part, other workers hold the rest
    of the job (`waits`), or nothing is left."""

    job: Job
    waits: bool = False
    number: int | None = None
    part: JobPart | None = None
    written: tuple[str, ...] = ()


class WorkerBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """`number` grows with each batch of a worker: a batch that is resent is not counted again."""

    worker: Name
    job: Count
    number: Count
    items: Annotated[list[ExtractedItem], Meta(min_length=1, max_length=BATCH_DOCUMENTS)]


class BatchReceipt(Struct, frozen=True):
    """`known`: documents of the batch that were stored already. `overtaken`: indexes in the batch whose LLM
    keywords came after the percentage fell; frequency keywords are kept for them."""

    written: int
    known: int
    overtaken: tuple[int, ...] = ()


class ExtractedDocument(Struct, frozen=True):
    """A document that a client just sent to a gateway. Its time is an age. `starved`: the gateway's own loop was
    late while it measured, so its figures about the LLM service are not evidence."""

    asked: Method
    age_s: Annotated[float, Meta(ge=0, le=3600)]
    record: Extraction
    document: DocumentWrite | None = None
    starved: bool = False


class DocumentBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """`number` grows with each batch of a gateway: a batch that is resent is not stored again."""

    worker: Name
    number: Count
    items: Annotated[list[ExtractedDocument], Meta(min_length=1, max_length=BATCH_DOCUMENTS)]


class DocumentReceipt(Struct, frozen=True):
    """`overtaken`: indexes in the batch whose LLM keywords came after the percentage fell; frequency keywords are
    stored for them."""

    overtaken: tuple[int, ...] = ()
