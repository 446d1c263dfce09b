"""The result of comparing a store's database with the files of contents beside it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolReport:
    """Files by name. Messages whose content is in a missing, foreign or short file are held when they are next claimed."""

    segments: int  # files that the database refers to
    messages: int  # messages with their content in these files
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()  # files with a name that the database refers to, and another file's header
    short: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # files that the database does not know: kept and never read
    other_spool: tuple[str, ...] = ()  # foreign and unknown files that another database made
    affected: int = 0  # messages in files that are missing, foreign or short, some of which may be whole

    @property
    def is_whole(self) -> bool:
        """Whether no file is missing, foreign or short."""
        return not (self.missing or self.foreign or self.short)
