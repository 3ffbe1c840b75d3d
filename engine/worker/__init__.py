"""A worker: the product's own pipeline outside the engine, with a lease in place of the switch and batches in place
of a store."""
