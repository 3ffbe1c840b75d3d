"""The console: the command line `rollout` and the screens, attached to an engine."""
