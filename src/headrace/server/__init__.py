"""The HTTP server of an application: what is in its stores, and how it is, for people and for other instances.

It needs the extra `server`: `pip install 'headrace[server]'`.
"""

try:
    from headrace.server.asgi import asgi
    from headrace.server.serving import Server
except ModuleNotFoundError as error:
    if error.name not in ("starlette", "uvicorn"):
        raise
    raise ImportError(
        f"headrace.server needs {error.name}, which is not installed: pip install 'headrace[server]'"
    ) from error

__all__ = ["Server", "asgi"]
