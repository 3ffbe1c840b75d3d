"""The files of .deploy and the help's copies of them; the unit by systemd's own rating."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY, HELP = ROOT / ".deploy", ROOT / "console" / "help"
CONTAINER = (DEPLOY / "Containerfile").read_text()


def squeezed(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("file", "page"),
    [
        ("rollout.service", "systemd.md"),
        ("rollout-ray.service", "cluster.md"),
        ("50-rollout.rules", "systemd.md"),
        ("nginx.conf", "proxy.md"),
        ("Caddyfile", "proxy.md"),
    ],
)
def test_the_help_shows_the_file_as_it_is(file: str, page: str) -> None:
    wanted, shown = squeezed((DEPLOY / file).read_text()), squeezed((HELP / page).read_text())
    assert any(shown[at : at + len(wanted)] == wanted for at in range(len(shown)))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("file", sorted(DEPLOY.glob("*.service")), ids=lambda file: file.name)
def test_systemd_understands_every_line_of_a_unit(file: Path, tmp_path: Path) -> None:
    unit = tmp_path / file.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", file.read_text(), flags=re.M))  # it must be there
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_rates_the_unit_at_most_3() -> None:
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(DEPLOY / "rollout.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"Overall exposure level for rollout.service: ([\d.]+)", rated.stdout)
    assert level is not None, rated.stderr
    assert float(level.group(1)) <= 3
    assert level.group(1) in (HELP / "systemd.md").read_text()


def test_the_image_runs_as_a_user_with_a_volume_and_only_needs_what_it_copies() -> None:
    user = re.findall(r"^USER (\S+)", CONTAINER, re.M)
    assert user
    assert user[-1] not in ("root", "0")
    assert "VOLUME /var/lib/rollout" in CONTAINER
    copied = {
        name.rstrip("/") for line in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINER, re.M) for name in line.split()
    }
    assert all((ROOT / name).exists() for name in copied)
    needed = {"pyproject.toml", "README.md", "LICENSE", "engine", "console"}
    assert copied == needed


def test_a_deployed_engine_keeps_its_memory_of_the_log_outside_the_store() -> None:
    """Neither the image's user nor the unit's (ProtectHome) has a home to keep it in."""
    unit = (DEPLOY / "rollout.service").read_text()
    state = re.findall(r"XDG_STATE_HOME=(\S+)", CONTAINER + unit)
    assert state == ["/var/lib/rollout-state"] * 2
    assert state[0] in re.findall(r"^VOLUME (.+)$", CONTAINER, re.M)[0].split()
    assert "rollout-state" in re.findall(r"^StateDirectory=(.+)$", unit, re.M)[0].split()
    engine = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["engine"]
    assert {volume.split(":")[1] for volume in engine["volumes"]} >= {"/var/lib/rollout", state[0]}


def test_an_image_that_cannot_hold_the_health_check_is_not_asked_for() -> None:
    """podman builds OCI images by default, which drop HEALTHCHECK with a warning; compose has a copy of its own."""
    assert "podman build --format docker " in CONTAINER
    assert "podman build --format docker " in (HELP / "container.md").read_text()
    match = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])\n", CONTAINER, re.S)
    assert match is not None
    engine = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["engine"]
    assert engine["healthcheck"]["test"] == ["CMD", *json.loads(match.group(1))]


def test_the_compose_file_gives_prometheus_and_grafana_what_they_need(tmp_path: Path) -> None:
    made: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(made["services"]) == {"engine", "dashboard", "prometheus", "grafana"}
    engine = made["services"]["engine"]
    assert engine["read_only"] is True
    assert engine["cap_drop"] == ["ALL"]
    for service in made["services"].values():
        assert {one["source"] for one in service.get("configs", ())} <= set(made["configs"])
        named = [volume.partition(":")[0] for volume in service.get("volumes", ())]
        assert {name for name in named if not name.startswith(".")} <= set(made["volumes"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    for config in ("prometheus", "sources", "provider"):
        assert isinstance(yaml.safe_load(made["configs"][config]["content"]), dict)
    if shutil.which("promtool"):
        (tmp_path / "p.yml").write_text(made["configs"]["prometheus"]["content"])
        done = subprocess.run(
            ["promtool", "check", "config", "--syntax-only", str(tmp_path / "p.yml")], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
