"""The plan, rollout.toml: its types, how it is read and checked, what is pinned of it."""
