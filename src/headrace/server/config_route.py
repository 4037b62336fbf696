"""What is set, and where each value comes from."""

from headrace.server.parameters import Given
from headrace.server.routes import Route
from headrace.streams.runnable import Runnable

__all__ = ["config_route"]


def config_route(application: Runnable) -> Route:
    """Return the route."""

    def config(given: Given) -> object:
        return {
            "properties": [
                {"name": name, "value": value, "origin": origin, "meaning": meaning}
                for name, value, origin, meaning in application.config.rows()
            ]
        }

    return Route("/config", "All properties with their origins; secrets are hidden.", config, blocks=False)
