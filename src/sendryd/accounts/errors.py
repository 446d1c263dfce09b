"""What is wrong with something that was given, by field, for whatever door it came in at."""


class BadField(ValueError):
    """A field has a value that cannot be used; the message says what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field  # as the REST API names it

    @property
    def sentence(self) -> str:
        """The message with the field that it is about."""
        return f"{self.field}: {self}"
