"""The first five minutes: five questions that write a rollout.toml."""
