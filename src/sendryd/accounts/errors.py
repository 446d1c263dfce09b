"""Errors about a field of a request, shared by the REST API and the command line."""


class BadField(ValueError):
    """A field has an invalid value; the message says what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field  # as the REST API names it

    @property
    def sentence(self) -> str:
        """The message with the field's name in front."""
        return f"{self.field}: {self}"
