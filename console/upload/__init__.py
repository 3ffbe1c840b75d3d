"""What `rollout load` does: find documents, send them with bounded concurrency, show progress."""
