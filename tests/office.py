"""An office with a shop, two phones and a ticker's hand: what tests of reminders start from."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select

from server.db import reading
from server.exchange.check import check
from server.push.model import Delivery
from server.reminders.model import Reminder
from server.reminders.tell import tell_due
from tests.pushservice import Subscriber
from tests.world import World

DAY = (datetime.now(UTC) + timedelta(days=30)).date()


def london(hour: int, minute: int = 0, days: int = 0) -> datetime:
    """An instant of `DAY` (or some days after it) as London's walls show it."""
    local = datetime(DAY.year, DAY.month, DAY.day, hour, minute, tzinfo=ZoneInfo("Europe/London"))
    return (local + timedelta(days=days)).astimezone(UTC)


class Office:
    """A world with a shop, a phone in rob's hand, and eyes on the tables."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.shop = world.customer("Shop", phone="+44 20 7946 0000")
        self.rob = world.phone("rob")
        self.mia = world.phone("mia")

    def promise(self, phone: Any = None, **more: Any) -> str:
        fields = {
            "customer_id": self.shop,
            "subject": "Send the quote",
            "due_date": DAY.isoformat(),
            "due_time": "15:00",
            "due_zone": "Europe/London",
        } | more
        made = (phone or self.rob).create("follow_up", **fields)
        (receipt,) = (phone or self.rob).push(made)
        assert receipt["status"] == "applied", receipt
        return str(made["entity"])

    def go(self, follow_up: str, to: str, **ops: Any) -> None:
        done = [{"field": "status", "op": "go", "old": "open", "new": to}]
        (receipt,) = self.rob.push(self.rob.mutation("follow_up", follow_up, "update", done, base=2**40))
        assert receipt["status"] == "applied", receipt

    def tell(self, now: datetime, *offered: str) -> int:
        """Tell what is due; `offered` are the channels beside push."""
        with self.world.app.app_context():
            return tell_due(self.world.org, now, offered=lambda _: offered)

    def call(self, who: str, method: str, path: str, **options: Any) -> Any:
        """Ask the API as somebody."""
        headers = {"Authorization": f"Bearer {self.world.tokens[who]}"}
        return self.world.app.test_client().open(path, method=method, headers=headers, **options)

    def wish(self, who: str, **wishes: Any) -> None:
        """Somebody wants to be reminded like this."""
        said = self.call(who, "PUT", "/api/reminders/wishes", json=wishes)
        assert said.status_code == 200, said.json

    def rows(self, model: Any) -> list[dict[str, Any]]:
        """All rows of a table of this organisation."""
        with self.world.app.app_context(), reading() as connection:
            rows = connection.execute(select(model.__table__).where(model.org_id == self.world.org))
            return [dict(row) for row in rows.mappings()]

    def checked(self) -> bool:
        """Whether the journal tells all that the tables say."""
        with self.world.app.app_context(), reading() as connection:
            assert [str(each) for each in check(connection, self.world.org)] == []
        return True

    def inbox(self, phone: Any) -> list[dict[str, Any]]:
        phone.pull()
        return sorted(phone.held("notice").values(), key=lambda notice: str(notice["at"]))

    def waiting(self) -> set[tuple[str, datetime]]:
        with self.world.app.app_context(), reading() as connection:
            rows = connection.execute(
                select(Reminder.rule, Reminder.due_at).where(
                    Reminder.org_id == self.world.org, Reminder.state == "waiting"
                )
            )
            return {(rule, at) for rule, at in rows}

    def deliveries(self) -> list[dict[str, Any]]:
        return self.rows(Delivery)

    def subscribe(self, who: str, device: Subscriber | None = None) -> Subscriber:
        device = device or Subscriber(f"https://push-{uuid4().hex[:8]}.example.com")
        client = self.world.app.test_client()
        headers = {"Authorization": f"Bearer {self.world.tokens[who]}"}
        key = client.get("/api/push/key", headers=headers).json["key"]
        said = client.post("/api/push/subscriptions", json=device.document | {"key": key}, headers=headers)
        assert said.status_code == 204, said.json
        return device
