"""A worker: the product's own pipeline outside the engine, with a lease for a switch and batches for a store."""
