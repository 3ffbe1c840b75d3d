"""The engine as a process: sockets, HTTP, requests from people, start and end."""
