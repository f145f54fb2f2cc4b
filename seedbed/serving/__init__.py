"""A bundle behind HTTP: what comes in (`bodies`), what goes out (`answers`), and who listens (`server`)."""

from seedbed.serving.server import serve_container

__all__ = ["serve_container"]
