"""The simulated world of a rehearsal: LLM servers with faults, documents, users."""
