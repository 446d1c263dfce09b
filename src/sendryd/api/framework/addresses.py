"""Plain addresses in bodies. Pure."""

from typing import Annotated

from pydantic import AfterValidator, Field

from sendryd.accounts.suppressions import read_address

Address = Annotated[str, AfterValidator(read_address), Field(json_schema_extra={"format": "email"})]  # as the lists keep it
