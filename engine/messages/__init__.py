"""Messages of the communication plan: rendered from its templates, queued in the store, delivered by apprise."""
