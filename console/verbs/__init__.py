"""The command line's verbs, a module each or a few that belong together, imported when called."""
