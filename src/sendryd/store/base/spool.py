"""What a store finds when it compares its database with the contents beside it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolReport:
    """Files by their names. The messages of what is missing, foreign or short are held when their turn comes."""

    segments: int  # that the database refers to
    messages: int  # in them
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()  # another file under a name that the database refers to
    short: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # that the database does not know: kept, and read by nobody
    other_spool: tuple[str, ...] = ()  # those of the foreign and unknown that were made with another database
    affected: int = 0  # messages in files that are missing, foreign or short, some of which may be whole

    @property
    def is_whole(self) -> bool:
        """Whether every content can be there."""
        return not (self.missing or self.foreign or self.short)
