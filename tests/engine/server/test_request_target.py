"""Which request a request line asks for, and which are refused because a proxy could read them in another way."""

from __future__ import annotations

import h11
import pytest

from engine.server.request_target import plain_form


def request(target: str, version: str = "1.1", **headers: str) -> h11.Request:
    named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return h11.Request(method="POST", target=target, headers=list(named.items()), http_version=version)


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("/v1/status?x=1", "/v1/status?x=1", "localhost"),
        ("*", "*", "localhost"),
        ("http://engine.example:8080/v1/status?x=1", "/v1/status?x=1", "engine.example:8080"),
        ("HTTPS://[::1]:80/", "/", "[::1]:80"),
        ("http://a", "/", "a"),
        ("http://a?x", "/?x", "a"),
        ("//a/b", "//a/b", "localhost"),
    ],
)
def test_the_path_and_the_host(target: str, path: str, host: str) -> None:
    made = plain_form(request(target, content_length="2"))
    assert made.target == path.encode()
    assert [value for name, value in made.headers if name == b"host"] == [host.encode()]
    assert (b"content-length", b"2") in made.headers


@pytest.mark.parametrize(
    "made",
    [
        *map(
            request, ("http://localhost@evil.example/", "http:///healthz", "ftp://a/", "a:80", "healthz", "http://a/#b")
        ),
        request("/", "2.0"),
        request("/", "0.9"),
        request("/", "1.0", transfer_encoding="chunked"),
        request("/", content_length="5", transfer_encoding="chunked"),
    ],
)
def test_an_unusable_target_or_framing_is_refused(made: h11.Request) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        plain_form(made)
