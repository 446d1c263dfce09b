"""The steps, windows, caches and patience of a store in SQL. Tests make them small, to meet their ends."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Each is a default with its reason."""

    step: int = 1000  # rows changed in one transaction: it delays other mail by some milliseconds
    due_step: int = 10_000  # due deliveries that one statement passes: a few milliseconds
    due_window: int = 512  # candidates for a claim that one statement returns
    due_remembered: int = 64  # remembered domains that one claim looks at; the others follow in the next claim
    due_turns: int = 64  # accounts and classes of one domain that one claim looks at; the others follow in the next claim
    due_crowded: int = 32  # domains of one account and class in crowded lanes that one claim looks at; the others follow in the next claim
    due_domains: int = 1_000  # domains of which it is remembered whose turn it is
    due_lag: int = 15_000  # milliseconds that the scan stays before the present: longer than a commit that waits for another process
    summaries: int = 200  # messages summarised at once where the filter needs each message's status
    read_inline: int = 64 * 1024  # octets of content read in the calling thread; more is read in a reader thread
    writer_cache: int = -16_384  # kibibytes, negated: the writer's hot pages are the right edges of a few trees
    reader_cache: int = -4_096  # kibibytes, negated
    busy_timeout: int = 10_000  # milliseconds to wait for another process's short transaction
    suppressed_kept: int = 50_000  # suppressed addresses of one account in memory: some megabytes
    segment: int = 64 * 1024 * 1024  # octets after which a new file of contents is started: small, so that space is freed soon
    open_segments: int = 16  # files of contents kept open for reading
    checkpoint_pages: int = 4_000  # new pages in the log (16 MiB) that start a checkpoint
    max_operations: int = 500  # of one batch: bounds how long later operations wait
    search_seconds: float = 10.0  # for one list, waiting for a thread included: clients give up soon after
    search_progress: int = 10_000  # engine steps, a fraction of a millisecond, between checks whether a search must end


USUAL = Sizes()
