"""What backends and deployers share of Amazon Web Services: account, errors, and a rehearsal of the services."""
