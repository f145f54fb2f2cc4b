"""A bundle behind HTTP: what comes in (`bodies`), what goes out (`answers`), and who listens (`server`)."""
