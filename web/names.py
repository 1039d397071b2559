"""Container names in addresses: what cannot be a name is an unknown container, and goes no further."""

import re
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Path

from launcher.errors import UnknownContainer

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")


async def read_name(name: Annotated[str, Path(description="A container's name.")]) -> str:
    """The name in the address."""
    if _NAME.fullmatch(name) is None:
        raise UnknownContainer(name[:63])
    return name


Name: TypeAlias = Annotated[str, Depends(read_name)]
