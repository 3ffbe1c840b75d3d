"""The library behind the console; see README.md here."""

VERSION = "0.1.0"
