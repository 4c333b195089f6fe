"""A phone's outbox as PROTOCOL describes it, over real HTTP: it keeps what it sent, and sends until it is answered."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from tests.world import Phone, World

BATCH = 7


class Outbox(Phone):
    """Mutations in their order, the receipts that came, and a replica; `exchange` never raises for a network's sake."""

    def __init__(self, world: World, who: str, url: str, patience_s: float = 10) -> None:
        super().__init__(world, who)
        self.url = url
        self.patience_s = patience_s
        self.log: list[dict[str, Any]] = []
        self.receipts: dict[int, dict[str, Any]] = {}
        self.next = 1
        self.failures = 0
        self.gaps = 0
        self.resets = 0
        self.limit = 50

    def write(self, *mutations: dict[str, Any]) -> None:
        """Save on the phone."""
        for mutation in mutations:
            assert mutation["seq"] == len(self.log) + 1
            self.log.append(mutation)

    @property
    def unsent(self) -> int:
        """How many mutations nobody acknowledged."""
        return len(self.log) - (self.next - 1)

    def exchange(self) -> bool:
        """One exchange: push what is unacknowledged, pull a page. Whether an answer came that moved things on."""
        batch = self.log[self.next - 1 : self.next - 1 + BATCH]
        body = self.envelope(*batch, pull={"token": self.token, "limit": self.limit})
        try:
            status, answer = self._ask(json.dumps(body).encode())
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            self.failures += 1
            return False
        if status == 503:
            return False
        assert status in {200, 409}, (status, answer)
        self._keep(answer["receipts"])
        if status == 409:
            assert answer["code"] == "SEQ_GAP", answer
            self.gaps += 1
            self.next = answer["expected"]
            return True
        self.next = answer["last_seq"] + 1
        page = answer["pull"]
        self.resets += bool(page["reset"])
        self._apply(page)
        # a server that was put back knows less of this outbox than it once acknowledged
        self.next = min(self.next, page["acked_seq"] + 1)
        self.more = page["more"]
        return True

    def settle(self, most: int = 400) -> None:
        """Exchange until everything is acknowledged and nothing more comes."""
        for _ in range(most):
            if self.exchange() and not self.unsent and not self.more:
                return
        raise AssertionError(f"{self.unsent} mutations were not taken in {most} exchanges")

    def _keep(self, receipts: list[dict[str, Any]]) -> None:
        for receipt in receipts:
            known = self.receipts.setdefault(receipt["seq"], receipt)
            assert known["id"] == receipt["id"] and known["status"] == receipt["status"], (known, receipt)

    def _ask(self, body: bytes) -> tuple[int, Any]:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=self.patience_s)
        try:
            headers = {
                "Authorization": f"Bearer {self.world.tokens[self.who]}",
                "Content-Type": "application/json",
            }
            connection.request("POST", "/api/sync", body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()
