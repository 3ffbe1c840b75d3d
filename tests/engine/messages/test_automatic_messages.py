"""What a real engine sends automatically: a rollback and a hold with their evidence, once each, even across a kill -9."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.messages.outbox import deliveries
from engine.messages.schedule import ABOUT
from tests.engine.messages.servers import mail_server
from tests.engine.service.rig import EngineRig
from tests.machine import crowd

SPEED = 10.0  # seven documents arrive in a second: enough to climb on, and little work


def test_a_rollback_a_hold_and_the_daily_summary_arrive_with_their_evidence_and_only_once(tmp_path: Path) -> None:
    with mail_server() as mail:
        addresses = tmp_path / "addresses"
        addresses.write_text(f"team={mail.url}\n")
        addresses.chmod(0o600)
        soon = datetime.now(UTC) + timedelta(minutes=4 * min(crowd(), 2.0))  # 24 s at ten times the speed
        settings = {"notify.urls_file": str(addresses), "notify.daily_at": f"{soon:%H:%M}"}
        with EngineRig(tmp_path / "place", SPEED, settings) as rig:
            engine = rig.engine()

            def arrived(kind: str) -> list[str]:
                return [str(m["Subject"]) for m in mail.box.mails if kind in str(m["Subject"])]

            def of_the_person() -> list[str]:
                """On a busy machine a trigger may roll back too."""
                texts = [mail.box.text(at) for at, m in enumerate(mail.box.mails) if "ROLLBACK" in str(m["Subject"])]
                return [text for text in texts if "search is broken" in text]

            rig.climb(2)
            assert rig.client.command("hold", reason="the owner is away").ok
            # killed between a server's "taken" and the store's note of it, an engine sends once more: at least once, not at most
            assert rig.until(lambda: any(d.state == "sent" for d in rig.reader.read(deliveries)), 40)
            assert len(arrived("HOLD")) == 1
            assert rig.client.command("resume", epoch=rig.reader.state().epoch).ok
            mail.box.is_busy = True
            assert rig.client.command("rollback", reason="search is broken").ok
            engine.kill()  # whatever was queued or not yet
            engine.wait()
            mail.box.is_busy = False
            rig.engine()
            assert rig.until(lambda: len(of_the_person()) == 1, 40)
            assert "rolled back from 10 % to 0 %" in of_the_person()[0]
            rig.climb(2)
            assert rig.until(lambda: len(arrived("metrics summary")) == 1, 60)
            time.sleep(1.5)
            assert rig.until(lambda: all(d.state == "sent" for d in rig.reader.read(deliveries)))
            assert (len(of_the_person()), len(arrived("metrics summary"))) == (1, 1)
            rollbacks = sum(len(rig.reader.log(1000, kind=kind)) for kind in ABOUT["rollback"])
            assert len(arrived("ROLLBACK")) == rollbacks
            assert len(arrived("HOLD")) == len(rig.reader.log(1000, kind="hold"))  # a trigger may hold too
            logged = [row.sentence for row in rig.reader.log(1000, kind="message")]
            assert not [sentence for sentence in logged if "went out" in sentence]
            assert sum("message rollback is queued" in sentence for sentence in logged) == rollbacks
            assert sum("message rollback was delivered" in sentence for sentence in logged) == rollbacks
            states = {d.message: d.state for d in rig.reader.read(deliveries)}
            assert states["rollback"] == states["hold"] == states["daily_summary"] == "sent"
