"""Notices what the library does not offer yet, so that a case which needs it is skipped and says why.

Everything is looked up by name. A builder call is skipped where the class, the method or one of its keyword
arguments is missing: an operator that arrives is picked up without a change here.
"""

import inspect
from typing import Any

__all__ = ["MissingFeatureError", "attribute", "call"]


class MissingFeatureError(Exception):
    """A case needs `feature`, which the library does not have."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"needs {feature}")
        self.feature = feature


def attribute(owner: Any, name: str) -> Any:
    """Return an attribute of a module or of an object.

    Raises:
        MissingFeatureError: it has none of that name.
    """
    found = getattr(owner, name, None)
    if found is None:
        where = owner.__name__ if inspect.ismodule(owner) else type(owner).__name__
        raise MissingFeatureError(f"{where}.{name}")
    return found


def call(owner: Any, method: str, *args: Any, **options: Any) -> Any:
    """Call a method with those options that are not None.

    Raises:
        MissingFeatureError: there is no such method, or it does not know one of the options.
    """
    function = attribute(owner, method)
    given = {name: option for name, option in options.items() if option is not None}
    parameters = inspect.signature(function).parameters
    if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        for name in given:
            if name not in parameters:
                raise MissingFeatureError(f"{type(owner).__name__}.{method}({name}=)")
    return function(*args, **given)
