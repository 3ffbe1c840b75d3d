"""Keywords of a text: by frequency, by an LLM (`llm`), and whether a keyword occurs in its document."""
