"""Each kind of document: its title, its content, and what never reaches a method."""

from __future__ import annotations

import json
import time
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.extraction.frequency import extract
from engine.parsing import Format, parse, parsers
from engine.parsing.detect import _is_bare_prose, detect
from engine.parsing.model import Raw

PAGE_BREAK = "\n\nSmith & Lee                 Standards Track                    [Page {}]\n\f\nRFC 9999                  Widget Protocol                    June 1999\n\n"
RFC = (
    "Network Working Group                                           J. Smith\nRequest for Comments: 9999                                     Acme Corp.\nCategory: Standards Track                                      June 1999\n\n\n"
    "                          The Widget Protocol\n\nStatus of this Memo\n\n   This document specifies a standards track protocol.\n\nTable of Contents\n\n   1. Frames ........................ 2\n   2. Sessions ...................... 3\n\n1. Frames\n\n"
    + "".join(
        f"   A widget server sends frame {n} to each peer over a session. A peer that\n   gets no frame closes the session.\n"
        + PAGE_BREAK.format(n)
        for n in range(1, 6)
    )
    + "2. Sessions\n\n   A session ends with its stream.\n\nAuthors' Addresses\n\n   Jane Smith, Acme Corp., 1 Long Street\n"
)
PEOPLE = "".join(
    f"- [{name} Adler](https://github.com/{name.lower()})\n"
    for name in ["Anna", "Bert", "Carla", "David", "Emma", "Frank"]
)
MIT = 'Permission is hereby granted, free of charge, to any person obtaining a copy of this software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY.'
BODY = "The connection pool keeps idle connections. A gateway opens a connection when the pool is empty."


class Kind(NamedTuple):
    text: str
    title: str
    kept: tuple[str, ...] = ("connection pool",)
    dropped: tuple[str, ...] = ()
    format: Format = Format.MARKDOWN
    name: str = ""


KINDS = {
    "yaml front matter": Kind(f'---\ntitle: "Pool: sizes"\nsort_rank: 4\ntags: [alerting]\n---\n\n# Other\n\n{BODY}', "Pool: sizes", dropped=("sort_rank", "alerting")),
    "folded yaml title": Kind(f"---\nlayout: page\ntitle: >-\n  Pool\n  sizes\n---\n{BODY}", "Pool sizes", dropped=("layout",)),
    "toml front matter": Kind(f'+++\ntitle = "Pool sizes"\nweight = 3\ndraft = false\n+++\n\n{BODY}', "Pool sizes", dropped=("weight", "draft")),
    "front matter without a title": Kind(f"---\nsidebar_position: 3\n---\n\n# Pools\n\n{BODY}", "Pools", dropped=("sidebar_position",)),
    "no front matter but a rule": Kind(f"---\n\n{BODY}\n\n---\n\nMore.", "The connection pool keeps idle connections."),
    "badges": Kind(f"[![Build](https://b/a.svg)](https://c) [![npm][npm-image]][npm-url]\n\n# Acorn\n\n{BODY}\n\n[npm-image]: https://x/y.svg\n[npm-url]: https://z", "Acorn", dropped=("npm", "Build", "svg")),
    "a linked logo": Kind(f'<p align="center"><a href="https://x"><img\n src="logo.svg" alt="Acorn logo"></a></p>\n\n{BODY}\n\n## Install\n\nRun it.', "Acorn", dropped=("logo.svg",)),
    "a heading in HTML": Kind(f'<h1 align="center">Acorn <small>tools</small></h1>\n\n{BODY}', "Acorn tools"),
    "anchors": Kind(f"# Application API {{#application-api}}\n\n{BODY}", "Application API", dropped=("application-api",)),
    "mdx": Kind(f"import Tabs from '@theme/Tabs';\nexport const x = {{\n  toc: 1,\n}}\n\n# Pools\n\n<Tabs items={{[1]}}>\n\n{BODY}\n\n</Tabs>", "Pools", dropped=("theme", "toc", "import")),
    "admonitions": Kind(f":::note Title of it\n\n{BODY}\n\n:::\n\n# Pools\n\n> [!WARNING]\n> Take care.", "Pools", dropped=(":::", "WARNING")),
    "contributors": Kind(f"# Acorn\n\n{BODY}\n\n## Technical Committee\n\n- Anna Adler\n\n### Emeritus members\n\n- Bert Brandt\n\n## Usage\n\nOpen it.", "Acorn", dropped=("Adler", "Brandt")),
    "people under another heading": Kind(f"# Acorn\n\n{BODY}\n\n## Behind it\n\n{PEOPLE}", "Acorn", dropped=("Adler", "Carla")),
    "all contributors": Kind(f'# Acorn\n\n{BODY}\n\n<!-- ALL-CONTRIBUTORS-LIST:START -->\n<table><tr><td><a href="https://github.com/a"><b>Anna Adler</b></a></td></tr></table>\n<!-- ALL-CONTRIBUTORS-LIST:END -->', "Acorn", dropped=("Adler",)),
    "sponsors": Kind(f'# Acorn\n\n{BODY}\n\n## Gold Sponsors\n\n<a href="https://opencollective.com/x"><img alt="Bigcorp" src="b.png"></a> Bigcorp pays.', "Acorn", dropped=("Bigcorp",)),
    "contents": Kind(f"# Acorn\n\n## Table of contents\n\n- [Install](#install)\n\n## Install\n\n{BODY}", "Acorn", dropped=("Table of",)),
    "a licence": Kind(f"# Acorn\n\n{BODY}\n\n{MIT}\n\nCopyright (c) 2020 Jane Doe", "Acorn", dropped=("Permission", "Jane Doe")),
    "a data address": Kind(f"# Acorn\n\n{BODY}\n\n" + "aGVsbG8gd29ybGQ1" * 20, "Acorn", dropped=("aGVsbG8",)),
    "labels and framed headings": Kind(f".. _pool:\n\n============\nPool sizes\n============\n\n.. toctree::\n   :maxdepth: 2\n\n   other\n\n{BODY}\n\nSee :ref:`more <here>` and :class:`~a.b.Pool`.", "Pool sizes", dropped=("toctree", "maxdepth", ":ref:"), format=Format.RST),
    "a note in rst": Kind(f"Pool sizes\n==========\n\n.. note::\n\n   {BODY}\n\n.. image:: x.png\n   :alt: y\n\n.. _pool: https://x", "Pool sizes", dropped=("x.png",), format=Format.RST),
    "asciidoc attributes": Kind(f":url-org: https://x.example\n// a comment\n= Acorn\nJane Doe <jane@x.example>\nv1.0, 2024-01-01\n\nifndef::env-github[]\n{BODY} See {{url-org}}[org].\nendif::[]\n\n[source,console]\n----\n$ acorn x\n----", "Acorn", dropped=("url-org", "Jane", "ifndef", "[source"), format=Format.ASCIIDOC),
    "an asciidoc anchor": Kind(f"[[_pools]]\n=== Pools\n\n{BODY} See <<_other,the other>> and link:x.html[that].", "Pools", dropped=("_pools", "_other", "x.html"), format=Format.ASCIIDOC),
    "man(7)": Kind(".\\\" comment\n.TH POOL 5 2020-01-01 Linux\n.SH NAME\npool \\- sizes of pools\n.SH SYNOPSIS\n.B pool\n.SH DESCRIPTION\nThe \\fBconnection pool\\fP keeps \\fIidle\\fR connections.\n.TP\n.BR \\-\\-size\nIts size.\n.SH AUTHOR\nJane Doe", "pool - sizes of pools", dropped=("fB", "fP", "Jane Doe", ".TP"), format=Format.ROFF),
    "man(7), translated": Kind(".\\\" Copyright (C) 1995\n.pc \"\"\n.\\\" generated with po4a\n.TH POOL 5 2020-01-01 Linux\n.SH NOMBRE\npool \\- tama\\[~n]os de conexi\\('on\n.SH DESCRIPCI\\('ON\nLa \\fBconfiguraci\\['o]n\\fP de la r\\[u00E9]plica y el \\[u0061_0301]rbol.", "pool - tamaños de conexión", kept=("configuración", "réplica", "árbol"), dropped=("fB", "fP", "po4a"), format=Format.ROFF),
    "mdoc": Kind(".Dd May 1, 2020\n.Dt POOL 1\n.Os\n.Sh NAME\n.Nm pool\n.Nd sizes of pools\n.Sh DESCRIPTION\n.Nm\nkeeps the connection pool.\n.Bl -tag -width Ds\n.It Fl s Ar size\nIts size.\n.El", "pool - sizes of pools", dropped=(".Nm", "Fl s", "-width"), format=Format.ROFF),
    "a printed manual page": Kind("POOL(1)                  User Commands                  POOL(1)\n\nNAME\n       pool - sizes of pools\n\nDESCRIPTION\n       The connection pool keeps idle connections.\n\nAUTHOR\n       Jane Doe\n\nACME 1.0                  May 2020                  POOL(1)\n", "pool - sizes of pools", dropped=("User Commands", "Jane"), format=Format.MAN_PAGE),
    "mail": Kind(f"From: Jane Doe <jane@x.example>\nTo: dev@x.example\nSubject: Re: =?utf-8?q?Pool_sizes?=\nMessage-ID: <1@x>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nHi all,\n\nOn Mon, Jan 1, 2024 at 10:00, Bert Brandt wrote:\n> a quoted sentence about hamsters\n\n{BODY}\n\n-- \nJane Doe\nAcme Corp.\n", "Pool sizes", dropped=("hamsters", "jane@", "Message-ID", "Acme", "Brandt"), format=Format.MAIL),
    "mail in parts": Kind('From: a@x.example\nSubject: Pool sizes\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="b"\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nVGhlIGNvbm5lY3Rpb24gcG9vbC4=\n--b\nContent-Type: text/html\n\n<p>html</p>\n--b--\n', "Pool sizes", dropped=("VGhl", "boundary", "html"), format=Format.MAIL),
    "an rfc": Kind(RFC, "The Widget Protocol", ("session", "frame"), ("Smith & Lee", "[Page", "........", "Long Street", "June 1999"), Format.MEMO),
    "a pep": Kind(f"PEP: 9999\nTitle: Pool sizes\nAuthor: Jane Doe <jane@x.example>\nStatus: Draft\nType: Standards Track\nCreated: 01-Jan-2024\n\nAbstract\n========\n\n{BODY}", "Pool sizes", dropped=("Jane", "Draft", "Standards Track"), format=Format.MEMO),
    "a python package's metadata": Kind(f"Metadata-Version: 2.4\nName: acorn\nVersion: 2.1\nSummary: Pool sizes for servers\nAuthor-email: Jane Doe <jane@x.example>\nClassifier: Programming Language :: Python :: 3\nRequires-Dist: hazel>=1\nLicense: MIT License\n        \n        Copyright (c) 2020 Bert Brandt\nDescription-Content-Type: text/markdown\n\n# Acorn\n\n{BODY}", "acorn - Pool sizes for servers", dropped=("Jane", "Programming Language", "hazel", "Metadata", "markdown", "Brandt"), format=Format.MEMO, name="acorn-2.1.dist-info/METADATA"),
    "a long header of a python package": Kind("Metadata-Version: 2.4\nName: acorn\nVersion: 2.1\nSummary: Pool sizes\n" + "".join(f"Requires-Dist: hazel-{n}>=1; extra == 'a long name of an extra'\n" for n in range(400)) + f"\n{BODY}", "acorn - Pool sizes", dropped=("hazel", "Metadata"), format=Format.MEMO),
    "words with by": Kind(f"Pools\n\nStand-by: an idle pool.\n\n{BODY}", "Pools", kept=("Stand-by",), format=Format.PLAIN),
    "a debian package's control file": Kind("Package: acornd\nVersion: 1.2-3\nMaintainer: Jane Doe <jane@x.example>\nDepends: hazel (>= 3.1), adduser\nPriority: optional\nDescription: pool sizes for servers\n Keeps the connection pool of a server small, and closes connections that are\n idle.\n", "acornd - pool sizes for servers", dropped=("Jane", "hazel", "optional", "Depends"), format=Format.MEMO),
    "a ticket": Kind(f"Ticket: OPS-4821\nStatus: Resolved\nAssigned to: Jane Doe\nReporter: Bert Brandt\nCreated: 2026-03-04 09:12 UTC\nComponent: hazel\n\nSummary: Pool sizes\n\n{BODY}", "Pool sizes", dropped=("Resolved", "Jane", "Brandt", "09:12"), format=Format.MEMO),
    "a numbered file": Kind(f"{BODY}", "The connection pool keeps idle connections. A gateway opens a connection when the pool is empty.", format=Format.PLAIN, name="tickets/hazel_01.txt"),
    "a file named with words": Kind(f"{BODY}", "Pool sizes", format=Format.PLAIN, name="pool_sizes.txt"),
    "fields below a title": Kind(f"Pool sizes\n\nSeverity: HIGH (CVSS 8.1)\nReporter: Bert Brandt\nFixed in: 1.6.40\n\n{BODY}", "Pool sizes", dropped=("CVSS", "Brandt", "1.6.40"), format=Format.PLAIN),
    "fields in a line": Kind(f"# Pool sizes\n\n**Severity:** SEV2  **Owner:** team-hazel  **Last reviewed:** 2026-01-04\n\n{BODY}", "Pool sizes", dropped=("SEV2", "hazel")),
    "a patch's trailers": Kind("From 3f2a1b Mon Sep 17 00:00:00 2001\nFrom: Jane Doe <jane@x.example>\nDate: Tue, 3 Mar 2026 10:00:00 +0100\nSubject: [PATCH 2/3] Pool sizes\n\nThe connection pool was too large.\n\nSigned-off-by: Jane Doe <jane@x.example>\nReviewed-by: Bert Brandt <b@x.example>\n---\n pool.c | 2 +-\n\ndiff --git a/pool.c b/pool.c\n--- a/pool.c\n+++ b/pool.c\n@@ -1 +1 @@\n-int pool = 9;\n+int pool = 8;\n", "Pool sizes", dropped=("Signed", "Doe", "Brandt"), format=Format.MAIL),
    "a feed": Kind('<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>Pool sizes</title><link>https://x.example</link><item><title>A new pool</title><description>The connection pool is smaller now.</description><pubDate>Mon, 02 Mar 2026 08:00:00 GMT</pubDate><guid>1</guid></item></channel></rss>', "Pool sizes", dropped=("now.Mon", "GMT1", "2026"), format=Format.HTML),
    "a change log": Kind("# Acorn changelog\n\n## 2.1.0\n\n### Fixed\n- Fix crash of the parser (#12)\n- Fixed leak in connection pool ([#14](https://x))\n\n### Added\n- Added retry policy by @jane\n\n## 2.0.0\n\n### Changed\n- Changed timeout\n", "Acorn changelog", ("connection pool", "retry policy"), ("Fixed", "Changed", "#12", "@jane")),
    "a change log of a project": Kind("# Changelog\n\n## 2.1.0\n\n- Fix leak in connection pool\n\n## 2.0.0\n\n- Fix timeout\n", "acorn changelog", name="node_modules/acorn-2.1.0/CHANGELOG.md"),
    "conventional commits": Kind("# Changelog\n\n## [2.1.0](https://x) (2024-01-01)\n\n### Bug Fixes\n\n* **pool:** leak in connection pool ([#1](https://x)) ([8ea71e5](https://x))\n\n## 2.0.0\n\n### Features\n\n* feat(api): timeout\n", "Changelog", dropped=("8ea71e5", "Bug Fixes", "feat(")),
    "a debian change log": Kind("acorn (2.1.0-1) unstable; urgency=medium\n\n  * Team upload.\n  * Fix leak in connection pool. (Closes: #99)\n\n -- Jane Doe <jane@x.example>  Mon, 01 Jan 2024 00:00:00 +0000\n", "acorn changelog", dropped=("Jane", "urgency", "Team upload"), format=Format.CHANGELOG),
    "a gnu change log": Kind("2024-01-01  Jane Doe  <jane@x.example>\n\n\t* pool.c (grow): Fix leak in connection pool.\n\n2023-01-01  Jane Doe  <jane@x.example>\n\n\t* x.c: Timeout.\n", "leak in connection pool.", dropped=("Jane", "2024"), format=Format.CHANGELOG),
    "a program": Kind(f'#!/usr/bin/env python3\n# SPDX-License-Identifier: MIT\n# Copyright 2024 Jane Doe\n"""Pool of connections. {BODY}"""\nimport os\n', "Pool of connections", dropped=("usr/bin", "SPDX", "Jane"), format=Format.SOURCE),
    "a program of another kind": Kind(f"/*!\n * Acorn\n * Copyright(c) 2013 Jane Doe\n * MIT Licensed\n */\n\n'use strict';\n\n/**\n * {BODY}\n * @private\n */\nvar a = 1;\n", "Acorn", dropped=("Jane", "MIT Licensed"), format=Format.SOURCE),
    "a log": Kind("2024-01-01T00:00:01Z INFO pool[12]: connection pool of 10.0.0.1 is empty\n2024-01-01T00:00:02Z INFO pool[12]: connection pool of 10.0.0.2 is empty\n2024-01-01T00:00:03Z WARN pool[12]: gateway is slow\n", "", dropped=("2024", "INFO", "10.0.0"), format=Format.LOG),
    "a page": Kind('<html lang="en"><head><title>Pool sizes &mdash; Acorn docs</title></head><body><nav><a>Prev</a></nav><div class="sphinxsidebar">Quick search</div><main><h1>Pool sizes<a class="headerlink">¶</a></h1><p>The <b>connection</b> pool keeps connections.</p><script>var x</script></main><footer>Copyright 2024 Acme. Cookie settings</footer></body></html>', "Pool sizes", dropped=("Prev", "Quick search", "Cookie", "Copyright", "var x", "¶"), format=Format.HTML),
    "a page of a book": Kind('<!DOCTYPE html><html><head><title>30.3. Pool sizes</title></head><body><div class="x"><table summary="nav"><tr><td><a href="a">Prev</a></td><td><a href="b">Up</a></td><td><a href="c">Next</a></td></tr></table></div><h2>30.3. Pool sizes</h2><p>The connection pool keeps connections.</p><p>Last updated on Jan 1, 2024.</p></body></html>', "Pool sizes", dropped=("Prev", "Next", "Last updated"), format=Format.HTML),
    "a change log with names": Kind("# Changelog\n\n## 2.1.0\n\n_Released Sep 14, 2026_\n\n- Fix leak in connection pool, reported by Anna Adler\n- Add retry policy (Bert Brandt, Carla Costa)\n- Timeouts, thanks to David van Dyck from Acme\n\n## 2.0.0\n\n- bugfix of the gateway by Emma Egger\n", "acorn changelog", ("leak in connection pool", "retry policy", "Timeouts"), ("Adler", "Brandt", "Costa", "Dyck", "Egger", "Released", "Fix", "bugfix"), name="npm/acorn-2.1.0/CHANGELOG.md"),
    "a change log with dates and names": Kind("18 January 2023: Wouter\n\t- Fix leak in connection pool.\n\n6 January 2023: Wouter\n\t- Timeouts.\n", "acorn changelog", dropped=("Wouter", "January"), format=Format.CHANGELOG, name="usr/share/doc/acorn/changelog"),
    "news of versions": Kind("New in version 4.3\n==================\n\n* Fix leak in connection pool\n\nNew in version 4.2\n==================\n\n* Timeouts\n", "acorn changelog", dropped=("New in",), name="usr/share/doc/acorn/NEWS"),
    "a readme of sections": Kind(f"[![Build](https://b/a.svg)](https://c)\n\n# Features\n\n{BODY}\n\n# Usage\n\nOpen it.", "acorn", name="npm/acorn-2.1.0/package/README.md"),
    "a readme of sentences": Kind(f"This file describes how to configure the pool of acorn\nwith a gateway. {BODY}\n", "acorn: POOL", format=Format.PLAIN, name="usr/share/doc/acorn/README.POOL"),
    "labels of speakers and fields": Kind(f"# Pools\n\n## Attendees\n\n- Ada Quill (@ada)\n- Ben Marsh\n\n## Notes\n\nAda: the gateway.\n\n- Ben - {BODY}\n\nOrin: one.\n\nOrin: two.\n\nOrin: three.\n\nContext: server, host\n\nContext: server, host\n\nContext: server, host\n", "Pools", ("the gateway.", "one.", "two."), ("Ada", "Ben", "Orin", "Context", "server, host\n\nserver")),
    "headings of a template": Kind(f"---\nstage: accepted\n---\n\n# Summary\n\n{BODY}\n\n# Drawbacks\n\nIt is slow.\n\n# References\n\n- Hamsters.", "Pool sizes", dropped=("Summary", "Drawbacks", "Hamsters"), name="text/0012-pool-sizes.md"),
    "a table without a head": Kind(f"|---|---|\n| size | Idle ones |\n\n# Pools\n\n{BODY}\n", "Pools", ("size | Idle ones",), ("---",)),
    "names of columns": Kind(f"# Pools\n\n{BODY}\n\n| Name | Description | Type |\n|---|---|---|\n| size | Idle ones | integer |\n\n| Gateway | Queue |\n|---|---|\n| a | b |\n", "Pools", ("size | Idle ones", "Gateway | Queue"), ("Name |", "Description")),
    "people credited by reference": Kind("# Acorn changelog\n\n## 2.1.0\n\n- fix leak in connection pool [Ada Quill][]\n- retry policy [Ben Marsh]\n\n[Ada Quill]: https://github.com/aquill\n[Ben Marsh]: https://github.com/bmarsh\n\n## 2.0.0\n\n- timeouts\n", "Acorn changelog", ("connection pool", "retry policy"), ("Quill", "Marsh")),
    "a manual page with a table and macros in macros": Kind(".TH POOL 5\n.de URL\n\\\\$2\n.  am MTO\n.  .\n..\n.SH NAME\npool \\- sizes of pools\n.SH DESCRIPTION\nThe connection pool.\n.TS\nallbox;\nlbx lb lb\nl l l.\nGateway\tQueue\tSize\nT{\nidle\nT}\tlong\tsmall\n.TE\n", "pool - sizes of pools", ("connection pool", "Gateway | Queue | Size", "long | small"), ("lbx", "allbox", "T}", "MTO"), Format.ROFF),
    "a program whose comments are of its parts": Kind(f"package pool\n\n// Grow adds to it. {BODY}\nfunc Grow() int {{\n\treturn 1\n}}\n", "pool.go", format=Format.SOURCE, name="acorn/pool.go"),
    "a module's outputs": Kind(f'output "pool" {{\n  description = "{BODY}"\n  value       = try(pool.this[0].arn, null)\n}}\n', "outputs.tf", format=Format.SOURCE, name="acorn/outputs.tf"),
    "fields about a proposal": Kind(f"- Start Date: 2018-01-25\n- RFC PR: https://x.example/pull/17\n- Acorn Issue: (leave this empty)\n\n# Summary\n\n{BODY}\n\n# Motivation\n\nIt is slow.", "Pool sizes", dropped=("Acorn Issue", "leave this", "pull/17"), name="text/0017-pool-sizes.md"),
    "handles": Kind(f"# Pools\n\n1. [Growth of it](https://x.example) - @aquill\n2. {BODY}\n\n## Growth - @bmarsh\n\n- @ljay\n  - It grows.\n", "Pools", ("Growth of it", "It grows"), ("aquill", "bmarsh", "ljay")),
    "a field and its value apart": Kind(f"<html><head><title>Pool sizes</title></head><body><h1>Pool sizes</h1><table><tr><td>Author:</td><td>Ada Quill</td></tr></table><p>{BODY}</p></body></html>", "Pool sizes", dropped=("Author", "Quill"), format=Format.HTML),
    "a generated program": Kind(f"// Code generated by acorn -pools; DO NOT EDIT.\n\npackage pool\n\n// Size is one. {BODY}\nconst (\n\tSize = 0x2\n)\n", "pool.go", dropped=("generated", "EDIT"), format=Format.SOURCE, name="acorn/pool.go"),
    "tags of a change log": Kind("# Changelog\n\n## 2.1.0\n\n- [CHANGE] leak in connection pool\n- [ENHANCEMENT] retry policy\n\n## 2.0.0\n\n- [FEATURE] cherry-pick upstream patch about timeouts\n", "acorn changelog", ("connection pool", "retry policy", "timeouts"), ("CHANGE]", "ENHANCEMENT", "FEATURE", "upstream", "cherry"), name="npm/acorn-2.1.0/CHANGELOG.md"),
    "a numbered chapter with hard spaces": Kind(f"<html><head><title>20&nbsp; Pool sizes</title></head><body><div><h1>20&nbsp;</h1></div><h1>20&nbsp; Pool sizes</h1><p>{BODY}</p><h2>20.1&nbsp; Growth</h2><p>20.1&nbsp;It grows.</p></body></html>", "Pool sizes", format=Format.HTML, name="acorn/pools.html"),
    "a program with a short licence": Kind(f"// Copyright 2018 The Acorn Authors. All rights reserved.\n// Use of this source code is governed by a BSD-style\n// license that can be found in the LICENSE file.\n\npackage pool\n\nimport \"log\"\n\n// grow adds to it. {BODY}\nfunc grow() {{}}\n", "pool.go", dropped=("governed", "LICENSE"), format=Format.SOURCE, name="acorn/pool.go"),
    "entries with handles": Kind(f"# Pools\n\n{BODY}\n\n- `acorn/pool`: @aquill, @bmarsh\n- gateway (@ljay)\n", "Pools", ("acorn/pool", "gateway"), ("aquill", "bmarsh", "ljay")),
    "a change log without markup": Kind("Acorn Changes\n\nChanges in 6.0.0\n\n * fixed #21 leak in connection pool\n\n * merged #22 retry policy\n   of the gateway\n\nChanges in 5.0.0\n\n * fixed regression of timeouts\n", "Acorn Changes", ("leak in connection pool", "retry policy of the gateway"), ("fixed", "#21", "merged", "Changes in"), Format.PLAIN, "acorn/CHANGES"),
    "a change log that begins with a sentence": Kind("Note that we began to track changes in 2.1.\n\n## v2.1.8(2024-01-01)\n\n- Fix leak in connection pool\n\n## v2.1.7\n\n- Fix timeouts\n", "acorn changelog", dropped=("Fix",), name="npm/acorn-2.1.0/changelog/CHANGELOG-2.1.md"),
    "a heading in two lines": Kind(f'<html><head><title>Uses of Class acorn.Pool</title></head><body><h1 class="t">Uses of Class<br>acorn.Pool</h1><p>{BODY}</p><div class="admonition seealso"><p>Ask hamsters.</p></div></body></html>', "Uses of Class acorn.Pool", dropped=("hamsters",), format=Format.HTML),
    "a program whose first comment is an example": Kind(f'defmodule Pool do\n  @doc """\n  ## Examples\n  {BODY}\n  """\n  def grow, do: 1\nend\n', "pool.ex", format=Format.SOURCE, name="acorn/pool.ex"),
    "a bar of languages": Kind(f"# Acorn\n\nEnglish | [简体中文](a.md) | [日本語](b.md) | [Português Brasileiro](c.md)\n\n{BODY}", "Acorn", dropped=("中文", "日本語", "Brasileiro", "English")),
    "a mail with a card": Kind(f"From: a@x.example\nTo: b@x.example\nSubject: I: Pool sizes\n\nCiao Bo,\n\n{BODY}\n\nANNA Dott.ssa ADLER\nRevisore\n\nVia Mazzini 53\nTel. 0423/972429 - Fax 0423/971212\n\nNota di riservatezza: solo per il destinatario.\n", "Pool sizes", dropped=("Mazzini", "ADLER", "0423", "riservatezza", "Ciao"), format=Format.MAIL),
    "a newsletter": Kind(f"From: a@x.example\nTo: b@x.example\nSubject: Pool sizes\n\nSi ce message ne s'affiche pas correctement, veuillez cliquer ici\n\nProfile\n\nMessages\n\nMy groups\n\n{BODY}\n\nTo unsubscribe, click here.\n", "Pool sizes", dropped=("cliquer", "unsubscribe", "Profile", "My groups"), format=Format.MAIL),
    "a program after its licence": Kind(f'# Copyright 2024 Jane Doe\n# Licensed under the Apache License, Version 2.0 (the "License"); you may\n# not use this file except in compliance with the License.\n\n"""Pool of connections. {BODY}"""\n', "Pool of connections", dropped=("compliance", "Jane"), format=Format.SOURCE, name="acorn/pool.py"),
    "a program without a comment of its own": Kind(f'import os\n\ndef grow():\n    """{BODY}"""\n', "pool.py", format=Format.SOURCE, name="acorn/pool.py"),
    "a page nested deep": Kind("<html><head><title>Pool sizes</title><script>var junk = 1</script></head><body><nav><a>Prev</a></nav>" + "<div><b>" * 700 + f"<h1>Pool sizes</h1><p>{BODY}</p>" + "</b></div>" * 700 + "<p>The last paragraph.</p><footer>Cookie settings</footer></body></html>", "Pool sizes", ("connection pool", "The last paragraph."), ("junk", "Prev", "Cookie"), Format.HTML),
    "a numbered chapter": Kind(f"<html><head><title>20 Pool sizes (Acorn)</title></head><body><h1>20 Pool sizes</h1><p>{BODY}</p><h2>20.1 Growth</h2><p>It grows. 20.1 is next.</p></body></html>", "Pool sizes", format=Format.HTML),
    "a notebook": Kind(json.dumps({"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Pool sizes\n", "\n", BODY]}, {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [{"text": ["an output"]}], "source": ["grow(pool)"]}, {"cell_type": "raw", "source": 3}, 7], "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4}), "Pool sizes", ("connection pool", "grow(pool)"), ("cell_type", "metadata", "kernelspec", "an output"), Format.NOTEBOOK),
    "a notebook of version 3": Kind(json.dumps({"metadata": {"name": ""}, "nbformat": 3, "worksheets": [{"cells": [{"cell_type": "heading", "level": 1, "source": ["Pool sizes"]}, {"cell_type": "markdown", "source": BODY}, {"cell_type": "code", "input": ["grow()"]}]}]}), "Pool sizes", dropped=("worksheets", "cell_type"), format=Format.NOTEBOOK),
    "org": Kind(f"#+TITLE: Pool sizes\n#+AUTHOR: Jane Doe\n#+STARTUP: overview\n\n* TODO [#A] Growth [1/2] :work:\nSCHEDULED: <2024-01-01 Mon>\n:PROPERTIES:\n:CUSTOM_ID: growth\n:END:\n{BODY} See [[https://x.example][the notes]] and [[file:x.org]].\n\n#+begin_src sh :results silent\nmake it\n#+end_src\n# a note\n- [X] one of =many=\n", "Pool sizes", ("connection pool", "the notes", "make it", "# Growth", "`many`"), ("Jane", "STARTUP", "TODO", ":work:", "CUSTOM_ID", "SCHEDULED", "x.example", "file:", "begin_src", "a note"), Format.ORG),
    "org without a title": Kind(f"#+STARTUP: overview\n{BODY}\n* Install\nIt.\n* Use\nIt.", "acorn", dropped=("STARTUP",), format=Format.ORG, name="npm/acorn-2.1.0/README.org"),
    "texinfo": Kind(f"\\input texinfo\n@setfilename pool.info\n@settitle Pool sizes\n@c a comment\n@copying\nCopyright Jane Doe\n@end copying\n@node Growth, Next, Prev, Top\n@chapter Growth\n@cindex idle pools\n{BODY} Use @code{{grow}} or @var{{size}}, @pxref{{Other Node}}.\n@menu\n* Other Node:: of it\n@end menu\n@deftypefun int open_pool (int @var{{n}})\nOpens it.\n@end deftypefun\n@smallexample\nmake it\n@end smallexample\n", "Pool sizes", ("connection pool", "`grow`", "`open_pool`", "# Growth"), ("a comment", "Jane", "cindex", "idle pools", "Other Node", "deftypefun", "@"), Format.TEXINFO),
    "an info manual": Kind(f"This is pool.info, produced by makeinfo version 6.8 from pool.texi.\n\nThis is the 'Pool Manual' (version 2).\n\n   (C) 2024 Jane Doe.\n\x1f\nFile: pool.info,  Node: Growth,  Next: Use,  Prev: Top,  Up: Top\n\n1 Growth\n********\n\n{BODY}  *Note Use::.\n\n* Menu:\n\n* Use::          How to use it.\n\n\x1f\nFile: pool.info,  Node: Index,  Up: Top\n\nConcept Index\n*************\n\n* hamsters:   Growth.  (line 3)\n\x1f\nTag Table:\nNode: Growth\x7f123\n", "Pool Manual", ("connection pool", "# Growth"), ("Jane", "Node", "Menu", "How to use it", "hamsters", "Concept", "Tag Table"), Format.TEXINFO),
    "pod": Kind(f"=encoding utf8\n\n=head1 NAME\n\nPool - sizes of pools\n\n=head1 DESCRIPTION\n\n{BODY} Call C<< grow($n) >> of L<Pool::Size/grow>, B<I<soon>>, E<lt>now. See L<https://x.example/y>.\n\n=over 4\n\n=item *\n\nOne of many.\n\n=back\n\n=for html <b>bold</b>\n\n=begin html\n\n<i>x</i>\n\n=end html\n\n    make it\n\n=head1 AUTHOR\n\nJane Doe\n\n=cut\n", "Pool - sizes of pools", ("connection pool", "`grow($n)`", "Pool::Size", "soon", "One of many", "make it"), ("head1", "C<", "over 4", "bold", "Jane", "x.example", "utf8"), Format.POD),
    "latex": Kind(f"% a comment\n\\documentclass[11pt]{{article}}\n\\usepackage{{amsmath}}\n\\newcommand{{\\x}}{{secret}}\n\\title{{Pool \\emph{{sizes}}}}\n\\author{{Jane Doe}}\n\\begin{{document}}\n\\maketitle\n\\section{{Growth}}\\label{{sec:growth}}\n{BODY} It grows~\\cite{{doe99}} by $n^2$; caf\\'e, \\texttt{{grow}}.\n\\begin{{equation}}\na+b\n\\end{{equation}}\n\\begin{{itemize}}\n\\item One of \\textbf{{many}}.\n\\end{{itemize}}\n\\begin{{verbatim}}\nmake it\n\\end{{verbatim}}\n\\begin{{thebibliography}}{{9}}\n\\bibitem{{doe99}} Hamsters.\n\\end{{thebibliography}}\n\\end{{document}}\n", "Pool sizes", ("connection pool", "# Growth", "café", "`grow`", "One of many", "make it"), ("a comment", "amsmath", "secret", "Jane", "doe99", "n^2", "a+b", "sec:growth", "itemize", "Hamsters", "\\"), Format.LATEX),
    "gettext": Kind('# Jane Doe, 2024\nmsgid ""\nmsgstr ""\n"Project-Id-Version: Acorn 2.1\\n"\n"Language: de\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n#: pool.c:12\n#, python-format\nmsgid "The connection pool of %(name)s is empty"\nmsgstr ""\n"Der Verbindungspool von %(name)s "\n"ist leer"\n\nmsgctxt "menu"\nmsgid "Grow the connection pool"\nmsgstr ""\n', "Acorn 2.1", ("Verbindungspool von ist leer", "Grow the connection pool"), ("msgid", "msgstr", "Jane", "charset", "name", "pool.c", "menu"), Format.CATALOGUE),
    "subtitles": Kind("1\n00:00:01,000 --> 00:00:04,000\n<i>The connection pool</i>\n\n2\n00:00:04,500 --> 00:00:06,000\nANNA: keeps idle connections. [door slams]\n", "The connection pool keeps idle connections.", dropped=("00:00", "-->", "ANNA", "slams", "<i>"), format=Format.SUBTITLES),
    "captions of a page": Kind("WEBVTT - Pool sizes\n\nNOTE hamsters\n\nintro\n00:01.000 --> 00:04.000 align:start\n<v Anna>The connection pool\n\n00:04.000 --> 00:05.000\nkeeps idle connections.\n", "Pool sizes", dropped=("hamsters", "intro", "00:0", "align", "Anna"), format=Format.SUBTITLES),
    "an interface in yaml": Kind("openapi: 3.0.0\ninfo:\n  title: Pool sizes\n  description: >\n    The connection pool keeps\n    idle connections.\n  version: 1.2.0\npaths:\n  /pools:\n    get:\n      operationId: listPools\n      summary: List the pools\n      responses:\n        '200':\n          description: \"All pools, each with its size\"\n", "Pool sizes", ("connection pool keeps idle connections", "List the pools", "All pools"), format=Format.SETTINGS),
    "settings in toml": Kind('# The connection pool keeps its idle connections\n# for a minute.\n[pool]\nsize = 10\nhelp = """How many connections\nare open at most."""\n', "pool.toml", ("are open at most.",), format=Format.SETTINGS, name="etc/pool.toml"),
    "an interface in json": Kind(json.dumps({"swagger": "2.0", "info": {"title": "Pool sizes", "version": "1"}, "paths": {"/pools": {"get": {"summary": "Keeps the connection pool of one gateway"}}}}), "Pool sizes", format=Format.SETTINGS),
    "a git log": Kind("commit 8ea71e5f0000\nAuthor: Jane Doe <jane@x.example>\nDate:   Fri Dec 13 10:45:34 2019 +0200\n\n    Fix leak in connection pool\n\n    It grew for a day.\n\n    Signed-off-by: Jane Doe <jane@x.example>\n\n src/pool.c | 8 +------\n 1 file changed, 1 insertion(+), 7 deletions(-)\n\ncommit 034c6e9a1d29\nAuthor: Bert Brandt <b@x.example>\nDate:   Thu Oct 24 09:37:29 2019 +0300\n\n    Add retry policy\n", "acorn changelog", ("leak in connection pool", "It grew", "retry policy"), ("Jane", "Bert", "commit", "2019", "insertion", "Signed-off"), Format.CHANGELOG, "usr/share/doc/acorn/changelog"),
    "anchors with blanks, included files": Kind(f"# Pool sizes {{ #pool-sizes }}\n\n{BODY}\n\n{{* ../../src/pool_py310.py hl[3,6:8] *}}\n\n{{!../notes.md!}}\n\n--8<-- \"more.md\"\n\n@array-reply\n", "Pool sizes", dropped=("pool-sizes", "src/", "hl[", "notes.md", "8<", "array-reply")),
    "a request for comments": Kind(f"- Feature Name: pool_sizes\n- Start Date: 2024-01-01\n- RFC PR: [acorn/rfcs#12](https://x)\n\n# Summary\n\n{BODY}", "pool_sizes", dropped=("Start Date", "RFC PR", "2024")),
    "fields of a decision": Kind(f"# Pool sizes\n\n* Status: accepted\n* Deciders: Anna Adler, Bert Brandt\n* Date: 2024-01-01\n\n**Author:** Carla Costa\n\n{BODY}", "Pool sizes", dropped=("accepted", "Adler", "2024", "Costa")),
    "minutes": Kind(f"# Pool meeting\n\n## Present\n\n* Anna Adler @anna (voting member)\n* Bert Brandt (Guest)\n\n## Agenda\n\n{BODY}\n\n* Carla Costa @carla\n* David Dietz (@david)\n* Emma Egger - @emma, chair\n", "Pool meeting", dropped=("Adler", "Brandt", "Costa", "Dietz", "Egger", "voting")),
    "lines of addresses": Kind(f"Pool\n----\n\n{BODY}\n\nFalk Fuchs <falk@x.example>\t(alpha)\nRay Ritter <ray@x.example>\nJoel Jung <joel@x.example>\n", "Pool", dropped=("Falk", "Ritter", "alpha")),
    "changes with thanks": Kind("# acorn\n\n## 2.1.0\n\n### Patch Changes\n\n- [#1](https://x) [`0f94b84`](https://x) Thanks [@jane](https://x)! - fix: leak in connection pool\n- Updated dependencies [[`33bc4a0`](https://x)]:\n  - acorn-core@2.1.0\n\n## 2.0.0\n\n- [`c8e5027`](https://x) Thanks [@bo](https://x)! - feat: retry policy\n", "acorn", ("leak in connection pool", "retry policy"), ("0f94b84", "33bc4a0", "c8e5027", "jane", "@bo", "feat", "acorn-core@")),
    "a class with tags": Kind(f"/*\n * Copyright 2024 Jane Doe\n */\npackage x;\n\n/**\n * {BODY} It returns {{@link Pool#grow() grown pools}}, a {{@code Size}}. {{@inheritDoc}}\n *\n * @author Jane Doe\n */\npublic class Pool {{\n}}\n", "The connection pool keeps idle connections", ("grown pools", "`Size`"), ("Jane", "@link", "@code", "inheritDoc"), Format.SOURCE),
    "a program with its author": Kind(f'# Copyright 2024 Acme\n# Author: Jane Doe\n# Contact: pool@x.example\n\n"""Pool of connections. {BODY}"""\n', "Pool of connections", dropped=("Jane", "pool@"), format=Format.SOURCE, name="acorn/pool.py"),
    "a program of little but a licence": Kind("/* Test of the connection pool.\n   Copyright (C) 2024 Jane Doe\n   This file is part of Acorn.\n\n   Acorn is free software; you can redistribute it and/or\n   modify it under the terms of the GNU General Public License.\n\n   Acorn is distributed in the hope that it will be useful,\n   but WITHOUT ANY WARRANTY.  */\n" + "int grow (int size) { return size + 1; }\n" * 8, "Test of the connection pool", dropped=("free software", "WARRANTY"), format=Format.SOURCE, name="acorn/test.c"),
    "a paper in -ms": Kind(f".\\\" a note\n.TL\nPool\n.I sizes\n.AU\nJane Doe\n.AI\nAcme\n.AB\n{BODY}\n.AE\n.NH 1\nGrowth\n.PP\nIt grows.\n.PS\nbox \"hamster\"\n.PE\n", "Pool sizes", ("connection pool", "# Growth", "It grows"), ("Jane", "Acme", "hamster"), Format.ROFF),
    "a pep with aligned fields": Kind(f"PEP:            9999\nTitle:          Pool sizes\nAuthor:         Jane Doe <jane@x.example>\nStatus:         Draft\n\n\nAbstract\n========\n\n{BODY}", "Pool sizes", dropped=("Jane", "Draft"), format=Format.MEMO, name="peps/pep-9999.rst"),
    "a page below its site's heading": Kind(f"<html><head><title>Pool | Acorn v2.1 Documentation</title></head><body><h1>Acorn v2.1 documentation</h1><div id='x'><table><tr><td><a href='a'>Home</a></td><td><a href='b'>Libraries</a></td><td><a href='c'>People</a></td><td><a href='d'>FAQ</a></td></tr></table></div><h2>Pool</h2><p>{BODY}</p></body></html>", "Pool", dropped=("Libraries", "People", "FAQ"), format=Format.HTML),
    "a page of an interface": Kind(f"<html><head><title>Pool (Acorn 2.1 API)</title></head><body><div class='topNav'>Overview Package Tree</div><h2>Class Pool</h2><ul class='inheritance'><li>java.lang.Object</li></ul><p>{BODY}</p></body></html>", "Pool", dropped=("Overview", "java.lang"), format=Format.HTML),
    "a numbered chapter in Russian": Kind(f"<html><head><title>Глава 3. Пулы соединений</title></head><body><h1>Глава 3. Пулы соединений</h1><p>{BODY}</p></body></html>", "Пулы соединений", format=Format.HTML),
    "an appendix": Kind(f"<html><head><title>A.14. Pool sizes</title></head><body><h1>A.14. Pool sizes</h1><p>{BODY}</p></body></html>", "Pool sizes", format=Format.HTML),
    "an info manual of one entry": Kind(f"This is pool.info, produced by makeinfo version 6.8 from pool.texi.\n\nINFO-DIR-SECTION Math\nSTART-INFO-DIR-ENTRY\n* pool: (pool).        Sizes of pools.\nEND-INFO-DIR-ENTRY\n\n\x1f\nFile: pool.info,  Node: Top,  Up: (dir)\n\n1 Introduction\n**************\n\n{BODY}\n", "pool - Sizes of pools", dropped=("INFO-DIR", "Node"), format=Format.TEXINFO),
    "names of steps": Kind("name: Pool check\non: push\njobs:\n  one:\n    steps:\n      - name: Checkout\n        uses: actions/checkout@v4\n      - run: |\n          make it grow to ten\n      # The connection pool is built from scratch here.\n      - uses: x/y@v1\n", "Pool check", dropped=(), format=Format.SETTINGS, name=".github/workflows/pool.yaml"),
    "a program with comments for its tools": Kind(f"# frozen_string_literal: true\n# typed: true\n\n# {BODY}\nclass Pool\nend\n", "The connection pool keeps idle connections", dropped=("frozen", "typed"), format=Format.SOURCE, name="acorn/pool.rb"),
    "a program under another licence": Kind(f"/*\n * Copyright (c) 2024 Acme and others\n *\n * This program and the accompanying materials are made available under the\n * terms of the Eclipse Public License 2.0 which is available at\n * http://www.eclipse.org/legal/epl-2.0.\n */\npackage x;\n\n/**\n * {BODY}\n */\npublic class Pool {{\n}}\n", "The connection pool keeps idle connections", dropped=("Eclipse", "accompanying"), format=Format.SOURCE, name="acorn/Pool.java"),
    "a list of attendees below a label": Kind(f"# Pool meeting\n\nAttendance:\n\n* Anna Adler\n* Bert Brandt\n\n{BODY}\n\n* Growth\n", "Pool meeting", ("connection pool", "Growth"), dropped=("Adler", "Brandt", "Attendance")),
    "a manifest": Kind("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: connection-pool\nspec:\n  replicas: 3\n  template:\n    spec:\n      serviceAccountName: pool-reader\n      hostNetwork: false\n", "connection-pool", ("Deployment", "pool-reader"), ("serviceAccountName", "replicas", "hostNetwork"), Format.SETTINGS),
    "a page of a wiki": Kind(f"{{{{Infobox hamster | size = {{{{small}}}} }}}}\n'''Pool size''' is a [[size|figure]].<ref>{{{{cite book |title=Hamsters}}}}</ref> {BODY}\n\n== Growth ==\nSee [https://x.example the notes].\n* It ''grows'' <!-- hamster -->\n{{| class=hamster\n|-\n| class=\"hamster\" | idle || busy\n|}}\n<pre>make it</pre>\n[[Category:Hamsters]]\n[[de:Hamster]]\n", "Pool size", ("is a figure. The connection pool", "# Growth", "See the notes", "It grows", "idle | busy", "make it"), ("amster", "Category", "[[", "''", "{", "https"), Format.WIKI),
    "a page in Jira's markup": Kind(f"h1. Pool sizes\n\n{{toc}}\n\nh2. Growth\n{BODY} *Soon* [~hamster] in {{{{pool.c}}}}, see [the notes|https://x.example].\n\n||Size||Use||\n|ten|idle|\n\n{{code:title=hamster|java}}\ngrow(pool);\n{{code}}\n# one of many\n!hamster.png|width=3!\n", "Pool sizes", ("# Growth", "Soon in `pool.c`, see the notes", "Size | Use", "grow(pool);", "- one of many"), ("amster", "{code", "toc", "h2.", "||"), Format.WIKI),
    "a patch": Kind(f"diff --git a/src/pool.c b/src/pool.c\nindex 83db48f..bf269f4 100644\n--- a/src/pool.c\n+++ b/src/pool.c\n@@ -1,3 +1,4 @@ hamster\n-    return 0;\n+    /* {BODY} */\n+    return grow(pool);\n", "src/pool.c", ("connection pool", "return grow(pool);"), ("83db48f", "hamster", "@@", "+++", "--git"), Format.DIFF, "x/grow.patch"),
    "a patch alone": Kind("--- a/docs/pool.md\n+++ b/docs/pool.md\n@@ -3,4 +3,6 @@\n # Pools\n+The connection pool grows.\n", "docs/pool.md", ("pools The connection pool grows.",), ("@@", "+++", "```"), Format.DIFF),
    "a patch by mail": Kind(f"From 4f1c9a02e3aabbccddeeff00112233445566 Mon Sep 17 00:00:00 2001\nFrom: Ada <a@x.example>\nDate: Mon, 2 Mar 2026 10:00:00 +0100\nSubject: [PATCH v2 1/2] Pool sizes\n\n{BODY}\n---\n pool.c | 4 +++-\n 1 file changed, 3 insertions(+), 1 deletion(-)\n\ndiff --git a/pool.c b/pool.c\nindex 11aa..22bb 100644\n--- a/pool.c\n+++ b/pool.c\n@@ -1,2 +1,4 @@\n+  grow(pool);\n", "Pool sizes", ("connection pool", "grow(pool);"), ("PATCH", "insertion", "+++", "index", "@@"), Format.MAIL),
    "a patch with a message": Kind(f"Pool sizes\n\n{BODY}\n---\n src/pool.c | 2 +-\n\n--- a/src/pool.c\n+++ b/src/pool.c\n@@ -1 +1 @@\n-int x;\n+int size;\n", "Pool sizes", ("connection pool", "int size;"), ("+int", "@@"), Format.DIFF),
    "a calendar": Kind(f"BEGIN:VCALENDAR\r\nPRODID:-//hamster//EN\r\nBEGIN:VEVENT\r\nUID:hamster@x.example\r\nDTSTART;TZID=Europe/Vienna:20260301T090000\r\nSUMMARY;LANGUAGE=en:Pool sizes\\, again\r\nDESCRIPTION:The connec\r\n tion pool.\\n{BODY}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", "Pool sizes, again", dropped=("hamster", "VEVENT", "Vienna", "connec "), format=Format.CALENDAR),
    "an address card": Kind("BEGIN:VCARD\nVERSION:3.0\nFN:Ada Quill\nORG:Pool of hamsters\nTEL;TYPE=WORK:+43 1 555\nEND:VCARD\n", "Ada Quill", ("Pool of hamsters",), ("VCARD", "WORK", "555"), Format.CALENDAR),
    "rich text": Kind(f"{{\\rtf1\\ansi\\deff0{{\\fonttbl{{\\f0 Hamster;}}}}{{\\*\\generator Hamster;}}\\f0\\fs24 Pool \\b sizes\\b0\\par\n{BODY}\\line caf\\'e9 \\u8211? 1\\~\\{{x\\}}\\par}}", "Pool sizes", ("connection pool", "café – 1", "{x}"), ("amster", "fs24", "\\"), Format.RTF),
    "events a line each": Kind("".join(f'{{"ts": "2026-03-02T10:00:0{n}Z", "level": "error", "logger": "hamster", "msg": "{said}"}}\n' for n, said in enumerate(["connection pool is empty", "pool grows"])), "connection pool is empty", ("connection pool is empty", "pool grows"), ("level:", "logger:"), Format.SETTINGS),
    "records of a chat": Kind(f'[{{"type": "message", "user": "U02", "text": "{BODY}"}}, {{"type": "message", "user": "U05", "text": "Gateway"}}]', "The connection pool keeps idle connections.", ("Gateway",), ("user:", "type:"), Format.SETTINGS),
    "a unit of systemd": Kind(f"[Unit]\nDescription=Pool sizes\nAfter=network-online.target\n\n[Service]\n# {BODY}\nDynamicUser=yes\nExecStart=/usr/bin/pool --size 3\n", "Pool sizes", ("connection pool", "/usr/bin/pool"), ("DynamicUser", "ExecStart", "Service"), Format.SETTINGS, "etc/pool.service"),
    "a log with a stack trace": Kind("2026-03-01 04:12:55,881 INFO  [main] c.e.pools.Boot - Starting the connection pool\n2026-03-01 04:12:57,440 ERROR [http-nio-8080-exec-4] c.e.pools.Gateway - Gateway timed out\njava.net.SocketTimeoutException: Read timed out\n\tat java.base/java.net.Hamster.read(Hamster.java:168)\n\tat com.example.Hamster.charge(Hamster.java:88)\n\t... 12 more\nCaused by: java.io.IOException: reset by peer\n2026-03-01 04:12:58,001 INFO  [main] c.e.pools.Retry - Retrying\n", "", ("Starting the connection pool", "Gateway timed out", "SocketTimeoutException", "reset by peer"), ("amster", "c.e.pools", "nio-8080", "Caused", "INFO"), Format.LOG),
    "a log of Java": Kind("2026-03-02 10:00:00.001  INFO 1 --- [           main] c.e.pools.Application      : Starting the connection pool\n2026-03-02 10:00:02.113  WARN 1 --- [onPool-worker-1] c.e.pools.Sync   : Sync is behind\n2026-03-02 10:00:03.500 ERROR 1 --- [onPool-worker-1] c.e.pools.Sync   : Gateway\n", "", ("Starting the connection pool", "Sync is behind"), ("onPool", "c.e.", "---"), Format.LOG),
    "a log with blanks before its lines": Kind("".join(f"  2026-03-01 04:12:5{n} INFO {said}\n" for n, said in enumerate(["the connection pool grows", "gateway", "timeouts"])), "", dropped=("INFO", "2026"), format=Format.LOG),
    "a log of IRC": Kind("[09:01:12] <hamster> the connection pool is empty\n[09:01:40] <quill> it grows\n[09:02:02] <hamster> gateway\n", "", ("the connection pool is empty", "it grows"), ("hamster", "quill"), Format.LOG),
    "a chat": Kind("[09:01] hamster: morning, the connection pool is empty\n[09:02] ada.quill: it grows: wait\n[10:15] hamster: gateway?\n", "", ("morning, the connection pool is empty", "it grows: wait", "gateway?"), ("hamster", "quill", "09:0"), Format.LOG),
    "a traceback": Kind("Traceback (most recent call last):\n  File \"/srv/pool.py\", line 118, in run\n    pool.grow()\npool.TooLarge: the connection pool is at its size\n", "pool.TooLarge: the connection pool is at its size", format=Format.PLAIN),
    "a paragraph in a line": Kind(f"We study the sizes of pools in sandy soils and in others. {BODY} {BODY}", "We study the sizes of pools in sandy soils and in others.", format=Format.PLAIN),
    "a table of values": Kind("pool_id,size,hint\n1,3,The connection pool grows\n2,,Empty\n", "Sizes", format=Format.PLAIN, name="x/sizes.csv"),
    "a file of make": Kind(f"# {BODY}\n\nall: pool.o\n\tcc -o pool pool.o\n", "The connection pool keeps idle connections", format=Format.SOURCE, name="acorn/Makefile"),
    "a chapter in DocBook": Kind(f"<?xml version='1.0'?><chapter><title>Pool sizes</title><para>{BODY}</para><screen>GROW pool</screen><para>Gateway</para></chapter>", "Pool sizes", ("pool is empty. ``` GROW pool ``` Gateway",), format=Format.HTML),
    "merges of a git log": Kind("commit 4f1c9a02e3\nMerge: 11aa22b 33cc44d\nAuthor: Jane Doe <jane@x.example>\nDate:   Mon Mar 2 10:00:00 2026 +0100\n\n    Merge branch 'fix/hamster' into main\n\ncommit 11aa22bcd0\nAuthor: Jane Doe <jane@x.example>\nDate:   Sun Mar 1 10:00:00 2026 +0100\n\n    Leak in connection pool\n", "Leak in connection pool", dropped=("amster", "Merge"), format=Format.CHANGELOG),
    "commands of LaTeX that begin alike": Kind(f"\\documentclass{{article}}\n\\begin{{document}}\n\\section{{Pools}}\n{BODY}\n\\includegraphics[width=3cm]{{hamster.png}}\n\\bibliographystyle{{hamster}}\n\\end{{document}}\n", "Pools", dropped=("hamster", "style", "graphics", "width"), format=Format.LATEX),
    "a table before the text": Kind(f"| Pool | Size |\n|---|---:|\n| idle | 1 |\n\n{BODY}", "Pool sizes", ("idle | 1", "connection pool"), name="docs/pool-sizes.md"),
    "data in XML": Kind(f"<?xml version='1.0'?><doc><title>Pool sizes</title><author>Ada Quill</author><unit>{BODY}</unit><unit>Frames</unit>\n<unit>Sessions</unit></doc>", "Pool sizes", ("Ada Quill The connection pool", "is empty. Frames Sessions"), format=Format.HTML),
    "a topic in DITA": Kind("<?xml version='1.0'?><task><title>Pool sizes</title><steps><step><cmd>Grow the connection pool.</cmd><info>Ask first.</info></step><step><cmd>Wait.</cmd></step></steps></task>", "Pool sizes", ("pool. Ask first. Wait.",), format=Format.HTML),
    "an article in JATS": Kind(f"<?xml version='1.0'?><article><front><article-meta><article-id>10.1/x</article-id><title-group><article-title>Pool sizes</article-title></title-group><contrib-group><contrib><name><surname>Quill</surname><given-names>Ada</given-names></name></contrib></contrib-group></article-meta></front><body><sec><title>Results</title><p>{BODY}</p></sec></body><back><ref-list><ref><mixed-citation>Adler A. Hamsters.</mixed-citation></ref></ref-list></back></article>", "Pool sizes", dropped=("Quill", "Adler", "10.1"), format=Format.HTML),
    "a translation in XLIFF": Kind(f"<?xml version='1.0'?><xliff><body><trans-unit id='1'><source>{BODY}</source><target>Ein Vorrat an Verbindungen</target></trans-unit><trans-unit id='2'><source>Pool sizes</source></trans-unit></body></xliff>", BODY.split(". ", 1)[0] + ".", ("is empty. Pool sizes",), ("Vorrat",), Format.HTML),
    "a page of macros": Kind(f"<p>{BODY}</p><ac:structured-macro><ac:plain-text-body><![CDATA[make image]]></ac:plain-text-body></ac:structured-macro>", BODY.split(". ", 1)[0] + ".", dropped=("CDATA",), format=Format.HTML),
    "a post in a forum": Kind(f'[b]Pool sizes[/b]\n\n[quote="ada77"]{BODY}[/quote]\nSee [url=https://x.example/p]this[/url].\n[img]https://x.example/a.jpg[/img]\n[list][*]grow[*]shrink[/list]\n', "Pool sizes", ("connection pool", "See this. - grow - shrink"), ("[", "ada77", "jpg"), Format.PLAIN),
    "a byline": Kind(f"<html><head><title>Pool sizes</title></head><body><main><h1>Pool sizes</h1><p class='meta'>By Ada Quill, 5 min read</p><p>{BODY}</p></main></body></html>", "Pool sizes", dropped=("Quill", "min read"), format=Format.HTML),
    "a mail in other letters": Kind("From: a@x.example\nTo: b@x.example\nSubject: Größe\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: 8bit\n\nMañana: пул соединений, 数据结构\n", "Größe", ("Mañana: пул соединений, 数据结构",), format=Format.MAIL),
    "a mail in encoded letters": Kind("From: a@x.example\nTo: b@x.example\nSubject: =?iso-8859-1?Q?Gr=F6=DFe?=\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nMa=F1ana pool of connect=\nions\n", "Größe", ("Mañana pool of connections",), format=Format.MAIL),
    "a mail of parts in letters": Kind("From: a@x.example\nTo: b@x.example\nSubject: Pool\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=X\n\n--X\nContent-Type: text/plain; charset=koi8-r\nContent-Transfer-Encoding: base64\n\n0NXMINPPxcTJzsXOycoK\n--X--\n", "Pool", ("пул соединений",), format=Format.MAIL),
    "a mail in Spanish": Kind(f"De: Ada <a@x.example>\nPara: b@x.example\nAsunto: Pool de conexiones\n\nHola a todos:\n\nMañana. {BODY}\n\nSaludos,\nAda\n", "Pool de conexiones", dropped=("Para", "Asunto", "Hola", "Saludos"), format=Format.MAIL),
    "a mail without a sender": Kind(f"Betreff: Pool sizes\n\nSehr geehrte Damen,\n\n{BODY}\n", "Pool sizes", dropped=("Betreff", "geehrte"), format=Format.MAIL),
    "an answer without a header": Kind(f"On Tue, Mar 3, 2026 at 9:12 AM Bo <b@x.example> wrote:\n> hamster\n\n{BODY}\n\nSent from my phone\n", "The connection pool keeps idle connections.", dropped=("hamster", "wrote", "phone"), format=Format.MAIL),
    "a transcript": Kind(f"Interviewer: Why pools?\nDr. Weber: {BODY}\nInterviewer: Always?\nDr. Weber: Soon.\nInterviewer: Why?\nDr. Weber: Growth.\n", "Why pools?", ("Growth.",), ("Interviewer", "Weber"), Format.PLAIN),
    "minutes without markup": Kind(f"Minutes of pools\n\nPresent: R. Kaya, S. Okafor (chair)\nApologies: M. Diaz\n\n1. {BODY}\n", "Minutes of pools", dropped=("Kaya", "Diaz", "Apologies"), format=Format.PLAIN),
    "an issue of a template": Kind(f"### Describe the bug\n\n{BODY}\n\n### To Reproduce\n\nGrow it.\n\n### Additional context\n\nNone.\n", "The connection pool keeps idle connections.", ("Grow it.",), ("Describe", "Reproduce", "Additional")),
    "links of a notebook's pages": Kind(f"# Pools\n\n[[Pool sizes]] and [[Gateway|its gateways]]. ![[hamster.png]] {BODY}", "Pools", ("Pool sizes and its gateways.",), ("[[", "hamster")),
    "a log of the kernel": Kind("[    0.000000] Starting pools with a long line that has no other sign of being a log than this\n[    1.234567] The connection pool grows\n[   12.345678] Out of memory: Killed\n", "", dropped=("1.234",), format=Format.LOG),
    "a bibliography": Kind(f"% of 2024\n@article{{key01,\n  author = {{Smith, John}},\n  title = {{Pools for {{TCP}} sessions}},\n  journal = {{Journal of Hamsters}},\n  abstract = \"{BODY}\",\n  year = 2001\n}}\n", "Pools for TCP sessions.", ("connection pool", "TCP"), ("Smith", "Hamsters", "key01", "2001"), Format.BIBLIOGRAPHY),
    "a bibliography of an entry a line": Kind('@misc{k, title={Pool sizes}, abstract={A connection pool.}, booktitle={Hamsters}}\n@string{x = "y"}\n', "Pool sizes.", dropped=("Hamsters",), format=Format.BIBLIOGRAPHY),
    "a bibliography of other fields": Kind("@misc{k,\n  note = {A connection pool},\n  type = {pools}\n}\n", "@misc{k,", format=Format.BIBLIOGRAPHY),
    "a signed text": Kind(f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{BODY}\n-----BEGIN PGP SIGNATURE-----\nVersion: Hamster v2\n\niQIzBAEBCgAd\n=Ab1d\n-----END PGP SIGNATURE-----\n", BODY, dropped=("PGP", "SHA512", "Hamster", "iQIz"), format=Format.PLAIN),
    "an abstract with mathematics": Kind(f"For $k$-means in $\\mathbb{{R}}^d$ we cite \\cite{{hamster}} and \\emph{{idle pools}}. {BODY}", "For k-means in we cite and idle pools.", ("k-means", "idle pools"), ("hamster", "mathbb", "emph", "$"), Format.PLAIN),
    "variables of a shell": Kind(f"Set $POOL_DIR and $POOL_SIZE for 5 $ or 10 $. {BODY}", "Set $POOL_DIR and $POOL_SIZE for 5 $ or 10 $.", ("$POOL_DIR and $POOL_SIZE",), format=Format.PLAIN),
    "plain text": Kind(BODY, BODY, format=Format.PLAIN),
    "plain text below a line": Kind(f"==========\nPool sizes\n\n{BODY}", "Pool sizes", format=Format.PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_document_has_its_title_and_its_content_alone(name: str) -> None:
    kind = KINDS[name]
    document = parse(kind.text, kind.name)

    assert document.title == kind.title
    content = " ".join(document.content.split())
    assert [words for words in kind.kept if words.lower() not in content.lower()] == []
    assert [words for words in kind.dropped if words in content] == []
    assert document.format is kind.format


@pytest.mark.parametrize("name", [name for name in KINDS if not KINDS[name].name])
def test_both_methods_read_a_raw_text_by_its_format(name: str) -> None:
    kind = KINDS[name]
    ranked = " ; ".join(extract(kind.text).ranked)

    assert [words for words in kind.dropped if words.lower() in ranked] == []
    assert parse(kind.text).title == kind.title


def test_headings_are_in_order_and_without_marks() -> None:
    document = parse(
        "# A {#a}\n\n## `run()` **now**\n\ntext\n\n```sh\n# no heading\n```\n\nB\n---\n\ntext\n\n## Contributors\n\n- x"
    )

    assert document.headings == ("A", "run() now", "B")


def test_the_language_is_as_declared() -> None:
    assert parse("---\ntitle: Größe\nlang: de\n---\n\nText.").language == "de"
    assert parse('<html lang="ja"><body><p>x</p></body></html>').language == "ja"
    assert parse("text").language == ""


def test_a_document_about_its_licence_or_people_keeps_them() -> None:
    assert "Permission" in parse(f"MIT License\n\n{MIT}").content
    assert "Anna Adler" in parse(f"# Authors\n\n{PEOPLE}").content


def test_a_file_name_decides_where_the_text_does_not() -> None:
    assert parse("Title\n=====\n\ntext", "a/b.rst").format is Format.RST
    assert parse("x = 1\n", "a.py").format is Format.SOURCE
    assert parse("word", "README").format is Format.PLAIN


def test_a_page_gives_title_and_text() -> None:
    page = parse("<title>A</title><nav>Prev</nav><p>one<p>two", "page.html")
    title, text = page.title, page.text

    assert (title, text.split()) == ("A", ["one", "two"])


@given(st.lists(st.sampled_from([*"#=-~`[]()<>{}|*_:.\n\t ", "\n.TH ", "\n.SH ", "<div>", "</div>", "<a href=x>", "```\n", "\n.. a::", "\n= ", "----\n", "From: a\nSubject: b\n", "![", "](", "word", "\f", "\b", "PEP: 1\nTitle: x\n", "<!--", "-->", "[Page 1]\n", "== a ==\n", "[[a|b]]", "'''", "\nh1. a\n", "{code}", "{\\rtf1 ", "\\par ", "BEGIN:VEVENT\n", "SUMMARY:a\n", "diff --git a/b b/c\n", "[09:01] a: ", "Traceback (most recent call last):\n  a\n", "2024-01-01 ", "#+title: x\n", "* a :b:\n", "@node x\n", "@code{", "}", "=head1 a\n", "C<", "\\section{", "\\begin{verbatim}", "$", 'msgid "x"\nmsgstr ""\n', "1\n00:00:01,0 --> 00:00:02,0\n", '{"a": ', "apiVersion: x\n", "commit 1234567\n"]), max_size=60))  # fmt: skip
def test_no_text_is_an_exception(parts: list[str]) -> None:
    text = "".join(parts)
    document = parse(text)

    assert "\n" not in document.title
    assert document == parse(text)


@pytest.mark.parametrize(
    "unit",
    ["\n ", "![", "[a](", "<a href='x'>", "<pre>", "= a\n", "[[a]]\n", ".SH\n", "> ", "{{", "`a <b>`_ ", "a\b", "From: a\nSubject: b\n", "|a", "# a\n", "**a", "<h1>", "<html><div>", "<<a", "(c) ", "a\n=\n", "/* ", "#+title: a\n", "* a\n[[a][", "@node a\n", "@node a\n@code{", "=head1 a\n\n", "=pod\n\nC<<", "\\section{", "\\section{a}$", "\\section{a}\\begin{verbatim}", 'msgid "a"\nmsgstr "', "<ref>a", "{{a|", "[[a:", "{code}a", "{code}a{code}", "h1. a\n", "'''a", "== a ==\n", "{\\rtf1 {\\b a}", "{\\rtf1 \\u8211?", "BEGIN:VCARD\n", "BEGIN:VEVENT\nSUMMARY:a\n b", "diff --git a/b b/c\n", "--- a\n+++ b\n", "[09:01] a: b\n", "Traceback (most recent call last):\n a\n", "-----BEGIN KEY-----a", '[{"a":', '{"a": 1}\n', "1\n00:00:01,0 --> 00:00:02,0\n", '{"a": ', "apiVersion: a\n", "apiVersion: a\n  b: '", "File: a.info,  Node: b\n* ", "* a\n#+begin_src\n", "@node a\n@menu\n", "@article{a,\n", "@article{a,\ntitle={{", "$a_", "-----BEGIN PGP SIGNATURE-----\n", "-----BEGIN PGP SIGNED MESSAGE-----\nA: b\n"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "<"])  # what nothing expects there makes patterns go back
def test_any_text_is_read_in_proportion_to_its_length(unit: str, end: str) -> None:
    text = (unit * 300_000)[:300_000] + end
    started = time.process_time()
    parse(text)

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "begins", "unit"),
    [
        ("a.py", "# a\n", ";"),
        ("a.py", "/* a\n", "\n"),
        ("a.py", '"""\n', "a\n"),
        ("a.json", "# a\n", " "),
        ("a.yaml", "# a\n", "- "),
    ],
)
def test_a_file_named_for_its_format_is_read_in_proportion_to_its_length(name: str, begins: str, unit: str) -> None:
    started = time.process_time()
    parse(begins + (unit * 300_000)[:300_000], name)

    assert time.process_time() - started < 5


def test_plain_prose_costs_hardly_anything() -> None:
    text = "\n".join(["The connection pool of the gateway keeps its idle connections for a minute."] * 16)

    def cost(run: object) -> float:
        best = 1.0
        for _ in range(20):
            started = time.process_time()
            for _ in range(20):
                run(text)  # type: ignore[operator]
            best = min(best, time.process_time() - started)
        return best

    assert cost(parse) < 0.25 * cost(extract)


def test_links_to_the_previous_and_next_page_are_not_content_in_any_language() -> None:
    page = (
        '<html><body><ul class="docnav"><li class="previous"><a accesskey="p" href="a.html"><strong>Zurück</strong>14.3. Überwachung</a>'
        '</li><li class="next"><a accesskey="n" href="b.html"><strong>Weiter</strong>14.5. SELinux</a></li></ul><h2>AppArmor</h2>'
        "<p>AppArmor wendet eine Reihe von Regeln auf jedes Programm an, je nach dem Pfad der Installation des Programms.</p>"
        '<div><a rel="next" href="c.html">Siguiente</a></div></body></html>'
    )
    text = parse(page, "sect.apparmor.html").text
    assert "Regeln" in text
    assert not [word for word in ("Zurück", "Weiter", "Überwachung", "Siguiente") if word in text]


@pytest.mark.parametrize(
    ("name", "about", "usual", "skipped"),
    [
        ("BEZEICHNUNG", "BESCHREIBUNG", "OPTIONEN", "ÜBERSETZUNG"),
        ("NOMBRE", "DESCRIPCIÓN", "OPCIONES", "TRADUCCIÓN"),
        ("ИМЯ", "ОПИСАНИЕ", "ПАРАМЕТРЫ", "ПЕРЕВОД"),
        ("名前", "説明", "オプション", "著作権"),
        ("NAZWA", "OPIS", "OPCJE", r"ZGŁASZANIE\ BŁĘDÓW"),
    ],
)
def test_a_translated_manual_page_has_a_title_and_only_its_subject(
    name: str, about: str, usual: str, skipped: str
) -> None:
    page = (
        f".TH TIMERS 8\n.SH {name}\ntimers \\- Timer\n.SH {about}\ntimers counts the seconds of a queue.\n.SH {usual}\n"
        f'--all shows each queue.\n.SH "{skipped}"\nWritten and translated by volunteers of the league.\n'
    )
    document = parse(page, "timers.8")
    assert document.title == "timers - Timer"
    assert "seconds of a queue" in document.text
    assert "volunteers" not in document.text
    assert about.capitalize() not in document.text


def test_the_short_way_to_prose_agrees_with_the_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    prose = "The pump of the mill was repaired, and the miller wrote a long letter about it to the valley. "
    marks = ["# ", "`", "[Page 2]", "*", "|", "<p>", "= ", "~", "^", "{", "\t", "_\b", "  ", "\n- ", "\n+ ", "\n. "]
    marks += ["\n: ", ".. note", "::", "xref:", "note: ", "http://", "12:30 ", "(1) ", "\nSubject: ", "$ ", "'", ""]
    beginnings = ("From ", "package ", "Jan 3 10:00:01 ", "PEP: 8\nTitle: x\n", "1. ", "")
    texts = [
        begun + text + prose + "\nThe end"
        for begun in beginnings
        for mark in marks
        for text in (mark + prose, prose + mark)
    ]
    short = [detect(text) for text in texts]
    assert 0 < sum(map(_is_bare_prose, texts)) < len(texts)
    monkeypatch.setattr("engine.parsing.detect._is_bare_prose", lambda text: False)
    assert short == [detect(text) for text in texts]


@pytest.mark.parametrize("kind", Format)
def test_every_format_has_a_parser_that_takes_an_empty_text(kind: Format) -> None:
    assert isinstance(parsers.read("", kind, ""), Raw)


GREETED = (
    "Hi all,\n\nthe certificate of the payment gateway expires on Friday.\n\nBest regards,\nAda Cole\n"
    "Senior Site Reliability Engineer\nHazel Logistics\nTel. +49 30 1234567\n"
)
FORWARDED = (
    "---------- Forwarded message ----------\nFrom: Ops <ops@x.example>\nDate: Mon, 2 Mar 2026\n"
    "Subject: Fwd: Disk alerts\nTo: team@x.example\n\nThe disk alerts of the log cluster fire every night.\n"
)


@pytest.mark.parametrize(
    ("text", "title", "kept"),
    [
        (GREETED, "the certificate of the payment gateway expires on Friday.", "the certificate of the payment gateway expires on Friday."),
        (FORWARDED, "Disk alerts", "The disk alerts of the log cluster fire every night."),
    ],
    ids=["greeted", "forwarded"],
)  # fmt: skip
def test_a_mail_without_its_head_is_read_as_mail(text: str, title: str, kept: str) -> None:
    document = parse(text)

    assert (document.title, document.content.split("\n\n")[-1].strip()) == (title, kept)
    assert "Hazel Logistics" not in document.content


def test_a_text_that_begins_like_a_greeting_is_no_mail() -> None:
    text = "High water, in Hi-Fi sound: hello to tides.\n\nBest regards,\nthey wrote, and the tide came."

    assert "the tide came" in parse(text).content
