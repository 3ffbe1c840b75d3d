"""Messages of the communication plan: made from its templates, queued in the store, carried by apprise."""
