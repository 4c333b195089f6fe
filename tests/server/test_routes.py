"""Every route x everybody: who may call it, what it answers to ids of others, and that nothing of theirs is in any answer.

The routes come from the app's own URL map, their parameters from its own OpenAPI document, so none can be forgotten; who
may call each is written out here by hand. In another organisation and in another team of one's own, marks are planted
in everything that can hold a word, and every answer is searched for them, headers and error texts included.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from werkzeug.routing import Rule

from server.push import keys
from tests.pushservice import Subscriber
from tests.world import World, ago

EVERYBODY = {"rep", "manager", "finance", "administrator"}
READERS = {"rep", "manager", "administrator"}
OPEN = None

ALLOWED: dict[tuple[str, str], set[str] | None] = {
    ("/", "GET"): OPEN,
    ("/<path:path>", "GET"): OPEN,
    ("/healthz", "GET"): OPEN,
    ("/readyz", "GET"): OPEN,
    ("/metrics", "GET"): OPEN,
    ("/api/docs", "GET"): OPEN,
    ("/api/openapi.json", "GET"): OPEN,
    ("/api/schema", "GET"): OPEN,
    ("/api/session", "POST"): OPEN,
    ("/api/session/invite", "POST"): OPEN,
    ("/api/session/upload", "POST"): OPEN,
    ("/api/session", "DELETE"): EVERYBODY,
    ("/api/me", "GET"): EVERYBODY,
    ("/api/sync", "POST"): EVERYBODY,
    ("/api/board", "GET"): {"manager", "administrator"},
    ("/api/customers", "GET"): READERS,
    ("/api/customers/<uuid:customer>", "GET"): READERS,
    ("/api/follow-ups", "GET"): READERS,
    ("/api/follow-ups/<uuid:follow_up>", "GET"): READERS,
    ("/api/history/<kind>/<uuid:entity>", "GET"): READERS,
    ("/api/customers/reassign", "POST"): {"manager", "administrator"},
    ("/api/blobs/<string:sha256>", "GET"): EVERYBODY,
    ("/api/blobs/<string:sha256>", "PUT"): EVERYBODY,
    ("/api/push/key", "GET"): EVERYBODY,
    ("/api/push/subscriptions", "POST"): EVERYBODY,
    ("/api/push/subscriptions/end", "POST"): EVERYBODY,
    ("/api/push/reports", "POST"): EVERYBODY,
    ("/api/push/devices", "GET"): EVERYBODY,
    ("/api/push/test", "POST"): EVERYBODY,
    ("/api/reminders/wishes", "GET"): EVERYBODY,
    ("/api/reminders/wishes", "PUT"): EVERYBODY,
    ("/api/reminders/channels", "GET"): EVERYBODY,
    ("/api/calendar", "GET"): READERS,
    ("/api/calendar", "POST"): READERS,
    ("/api/calendar", "DELETE"): READERS,
    ("/api/calendar/<string:secret>.ics", "GET"): OPEN,
    ("/api/scores", "GET"): READERS,
    ("/api/scores/export", "GET"): READERS,
    ("/api/scores/funnel", "GET"): READERS,
    ("/api/scores/trial", "POST"): {"manager", "administrator"},
    ("/api/scores/closings/<uuid:identity>", "GET"): READERS,
    ("/api/scores/<uuid:person>", "GET"): READERS,
    ("/api/scores/<uuid:person>/evidence", "GET"): READERS,
    ("/api/targets/import", "POST"): {"administrator"},
    ("/api/values/import", "POST"): {"administrator"},
    ("/api/visits", "GET"): READERS,
    ("/api/visits/<uuid:visit>", "GET"): READERS,
    ("/api/visits/<uuid:visit>/history", "GET"): READERS,
}
"""Who may call what. `None`: nobody needs to be signed in."""

UPLOADS = {
    ("/api/sync", "POST"),
    ("/api/session", "DELETE"),
    ("/api/blobs/<string:sha256>", "PUT"),
    ("/api/push/subscriptions/end", "POST"),
    ("/api/calendar", "DELETE"),
}
"""What stays open to somebody whose account was closed: to bring in what their phone still holds, and to leave."""

ROLE = {"rob": "rep", "mia": "manager", "boss": "manager", "fin": "finance", "admin": "administrator"}
SEES_SOUTH = {"boss", "admin"}

FOREIGN = "Xenogenesis"
SOUTHERN = "Southernmost"


BLOB = "/api/blobs/<string:sha256>"
EVIDENCE = "/api/scores/<uuid:person>/evidence"
CLOSING = "/api/scores/closings/<uuid:identity>"
WISHES = "/api/reminders/wishes"


def photo(mark: str) -> bytes:
    """A photo with a word in it."""
    out = BytesIO()
    Image.new("RGB", (40, 30), "green").save(out, "JPEG", comment=mark.encode())
    return out.getvalue()


def plant(world: World, mark: str, rep: str, team: str) -> dict[str, str]:
    """A customer, a visit, a parked and a lost edit of `rep`, with the mark in every word; returns the ids by kind."""
    shop = world.customer(
        f"{mark} shop",
        owner=rep,
        team=team,
        address=f"{mark} road",
        code=f"{mark}-{uuid4().hex[:6]}",
        note=f"{mark} note",
        contact=mark,
        phone=mark,
        tags=[mark],
    )
    phone = world.phone(rep)
    data = photo(mark)
    visit = phone.check_in(shop, ago(minutes=5), late_reason=mark, photos=[sha256(data).hexdigest()])
    receipts = phone.push(
        visit,
        phone.check_out(visit["entity"], minutes=f"{mark} minutes", next_step=mark),
        promise := phone.create("follow_up", customer_id=shop, subject=f"{mark} list", note=mark, kind=mark),
        said := phone.create("comment", on_kind="customer", on_id=shop, body=f"{mark} words"),
        phone.check_in(shop, mode=mark),
        phone.mutation("customer", shop, "update", [{"field": "note", "op": "text", "new": mark * 6000}]),
    )
    assert [receipt["status"] for receipt in receipts] == ["applied"] * 4 + ["parked"] * 2
    token = {"Authorization": f"Bearer {world.tokens[rep]}"}
    (named,) = visit["ops"][-1]["new"]
    stored = world.app.test_client().put(f"/api/blobs/{named}", data=data, headers=token)
    assert stored.json == {"status": "stored"}
    return {
        "photo": named,
        "visit": visit["entity"],
        "customer": shop,
        "follow_up": promise["entity"],
        "comment": said["entity"],
        "rep": world.ids[rep],
        "team": world.ids[team],
        "client": phone.client,
    }


class Stage:
    """An organisation, another team in it, another organisation beside it; marks where nobody else may look."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.world = world = World(app, f"acme-{uuid4().hex[:8]}")
        world.person("fin", "finance", "north")
        world.person("gone", "rep", "north")
        self.own = plant(world, "Ours", "rob", "north")
        self.south = plant(world, SOUTHERN, "sam", "south")
        world.change("person", "gone", active=False)
        self.other = other = World(app, f"other-{FOREIGN.lower()}-{uuid4().hex[:8]}")
        self.foreign = plant(other, FOREIGN, "sam", "south")
        other.create("outcome", "theirs", code=FOREIGN, name=FOREIGN)
        other.create("setting", "theirs", key=FOREIGN, value=FOREIGN)
        other.change("person", "sam", name=f"{FOREIGN} Sam")
        other.change("team", "south", name=f"{FOREIGN} team")
        self.cursor = other.get("admin", "/api/customers?limit=1&near=51,0").json["next"] or ""
        stranger = other.phone("admin")
        stranger.pull()
        self.token = stranger.token
        self.tokens = world.tokens | {"nobody": "", "outsider": other.tokens["admin"]}

    def call(self, who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if self.tokens[who] else {}
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def routes(self) -> Iterator[tuple[Rule, str]]:
        for rule in self.app.url_map.iter_rules():
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield rule, method

    def parameters(self, rule: Rule, method: str) -> list[str]:
        """Names of a route's query parameters, as its own document tells them."""
        spec = self.app.extensions["rounds_spec"]()
        path = re.sub("<(?:uuid:)?([a-z_]+)>", r"{\1}", rule.rule)
        operation = spec["paths"].get(path, {}).get(method.lower(), {})
        return [one["name"] for one in operation.get("parameters", []) if one.get("in") == "query"]

    def paths(self, rule: Rule, method: str) -> Iterator[str]:
        """Addresses of a route, plain and with everything of others that could be put in them."""
        ids = [*self.own.values(), *self.south.values(), *self.foreign.values(), str(uuid4())]
        bases = [
            rule.rule.replace("<path:path>", "api/nothing"),
            rule.rule.replace("<path:path>", "deep/link"),
        ]
        bases = list(dict.fromkeys(bases))
        if "<uuid:" in rule.rule:
            told = ("visit", "customer", "follow_up", "comment", "parked")
            kinds = told if "<kind>" in rule.rule else ("",)
            name = rule.rule.rpartition("<uuid:")[2].partition(">")[0]
            name = {"person": "rep"}.get(name, name)
            ids = [self.own[name if name in self.own else "visit"], *ids]  # the first one is answered
            named = [rule.rule.replace("<kind>", kind) for kind in kinds]
            bases = [re.sub("<uuid:[a-z_]+>", one, rest) for rest in named for one in ids]
        if rule.rule == BLOB:
            bases = [f"/api/blobs/{one}" for one in [self.own["photo"], *ids, "0" * 64]]
        if rule.rule == EVIDENCE:
            bases = [f"{one}?indicator=valid_visits" for one in bases]
        yield from bases
        joint = "&" if "?" in bases[0] else "?"
        words = [FOREIGN, SOUTHERN, self.cursor, "%00", "%ED%A0%80", "-1", "0001-01-01", "'%3B--", "x" * 700]
        for name in self.parameters(rule, method):
            for value in (*ids, *words):
                yield f"{bases[0]}{joint}{name}={value}"
        if rule.rule == "/api/follow-ups":
            yield f"/api/follow-ups?owner={self.south['rep']}&customer={self.south['customer']}"
        if rule.rule == "/api/visits":
            yield f"/api/visits?rep={self.foreign['rep']}&team={self.foreign['team']}&customer={self.foreign['customer']}"
            yield f"/api/visits?rep={self.south['rep']}&team={self.south['team']}&customer={self.south['customer']}"

    def bodies(self, rule: Rule, who: str) -> list[dict[str, Any]]:
        """What is sent to a route that takes a body: with everything of others in it."""
        if rule.rule == "/api/session":
            device = {"client": str(uuid4()), "name": "x"}
            email = f"sam@{self.other.org[:8]}.test"
            return [{"email": email, "password": "wrong", "device": device}]
        if rule.rule == "/api/session/invite":
            device = {"client": str(uuid4())}
            invite = self.other.tokens["sam"]
            return [{"invite": invite, "password": "long enough", "device": device}]
        if rule.rule == "/api/session/upload":
            return [{"invite": self.other.tokens["sam"], "device": {"client": str(uuid4())}}]
        if rule.rule == "/api/customers/reassign":
            ours, theirs = self.own["rep"], self.foreign["rep"]
            hers = {"from": ours, "to": ours, "customers": [self.south["customer"], self.foreign["customer"]]}
            within = {"from": self.world.ids["ria"], "to": ours}  # the first one is answered
            return [within, {"from": theirs, "to": ours}, {"from": ours, "to": theirs}, hers]
        if rule.rule == "/api/scores/trial":
            scheme = {"indicators": [{"code": "valid_visits", "weight": "1"}]}
            return [scheme, *(scheme | {"team": them["team"]} for them in (self.south, self.foreign))]
        if rule.rule in {"/api/values/import", "/api/targets/import"}:
            # What one sends of others comes back in the rows that are left out; its own test asks who is known.
            table = (
                f"person,indicator,on,period,amount\n{self.own['rep']},valid_visits,2026-03-01,2026-03-01,1\n"
            )
            return [{"csv": "person,on,amount\n"}, {"csv": table, "source": "x"}]
        if rule.rule.startswith("/api/push/"):
            endpoint = f"https://push.example.com/{who}"
            device = Subscriber("https://push.example.com").document | {"endpoint": endpoint}
            key = keys.current(self.app.extensions["rounds"].state_dir).public
            notice = {"notice": str(uuid4()), "what": "shown", "endpoint": endpoint}
            return [device | notice | {"key": key}]
        if rule.rule != "/api/sync":
            return []
        world = self.other if who == "outsider" else self.world
        phone = world.phone("rob")
        written = []
        for them in (self.south, self.foreign):
            written += [
                phone.check_in(them["customer"]),
                phone.check_out(them["visit"]),
                phone.create("visit", customer_id=self.own["customer"], status="planned", rep_id=them["rep"]),
                phone.create("customer", name="New", team_id=them["team"], owner_id=them["rep"]),
                phone.create("person", name="P", role="rep", time_zone="UTC", team_id=them["team"]),
            ]
        if who != "outsider":  # at home it would be an id like any other
            written.append(phone.create("customer", self.south["customer"], name="Mine"))
            written += [
                phone.create("follow_up", customer_id=them["customer"], subject="S"),
                phone.create(
                    "follow_up", customer_id=self.own["customer"], visit_id=them["visit"], subject="S"
                ),
                phone.create(
                    "follow_up", customer_id=self.own["customer"], owner_id=them["rep"], subject="S"
                ),
            ]
            for kind in ("customer", "visit", "follow_up"):
                written.append(phone.create("comment", on_kind=kind, on_id=them[kind], body="B"))
        for kind in ("customer", "visit", "follow_up", "comment", "person", "team"):
            for them in (self.south, self.foreign):
                entity = them.get(kind) or them["rep"]
                written.append(phone.mutation(kind, entity, "archive", []))
        theirs = phone.envelope(pull={"token": self.token, "limit": 500})
        return [
            phone.envelope(*written, pull={"token": None, "limit": 500}),
            theirs | {"client": self.foreign["client"]},
            theirs | {"client": str(uuid4()), "predecessor": self.foreign["client"]},
            theirs | {"client": self.south["client"]},
        ]

    def requests(self, who: str) -> Iterator[tuple[Rule, str, str, dict[str, Any]]]:
        for rule, method in self.routes():
            for path in self.paths(rule, method):
                bodies = self.bodies(rule, who) if method == "POST" else []
                for body in bodies or [None]:
                    yield rule, method, path, {"json": body} if body is not None else self.data(method)

    def data(self, method: str) -> dict[str, Any]:
        """What is put to a route that takes bytes."""
        return {"data": photo("Ours")} if method == "PUT" else {}


@pytest.fixture(scope="module")
def stage(shared_app: Any) -> Stage:
    return Stage(shared_app)


def everything(response: Any) -> str:
    """All that is told: status line, headers, body. Of parked mutations only that they are there: they are what one sent."""
    body = response.get_data().decode("utf-8", "replace")
    if response.is_json and response.status_code == 200 and (response.json or {}).get("pull"):
        page = response.json["pull"]
        kept = [row | {"data": None} if row["kind"] == "parked" else row for row in page["rows"]]
        body = json.dumps(response.json | {"pull": page | {"rows": kept}}, ensure_ascii=False)
    return f"{response.status}\n{response.headers}\n{body}"


def test_every_route_says_who_may_call_it_and_no_other_route_is_there(stage: Stage) -> None:
    found = {}
    for rule, method in stage.routes():
        view = stage.app.view_functions[rule.endpoint]
        assert hasattr(view, "allowed_roles"), f"{rule} does not say who may call it"
        allowed = view.allowed_roles
        found[rule.rule, method] = None if allowed is None else set(allowed)
    assert found == ALLOWED


@pytest.mark.parametrize("who", [*ROLE, "gone", "nobody"])
def test_a_route_answers_those_it_is_for_and_sends_the_others_away(stage: Stage, who: str) -> None:
    for rule, method in stage.routes():
        allowed = ALLOWED[rule.rule, method]
        path = next(stage.paths(rule, method))
        body = (stage.bodies(rule, who) or [None])[0] if rule.rule != WISHES else {"discreet": True}
        if method == "DELETE":
            continue  # see below: it needs a session of its own
        response = stage.call(who, method, path, **({"json": body} if body else stage.data(method)))
        if allowed is OPEN:
            assert response.status_code not in {403}, (rule, response.status)
            assert response.json is None or response.json.get("code") != "SIGN_IN_REQUIRED"
        elif who == "nobody" or (who == "gone" and (rule.rule, method) not in UPLOADS):
            assert (response.status_code, response.json["code"]) == (401, "SIGN_IN_REQUIRED"), rule
        elif who != "gone" and ROLE[who] not in allowed:
            assert (response.status_code, response.json["code"]) == (403, "FORBIDDEN"), rule
        elif (rule.rule, method, who) == (BLOB, "GET", "fin"):
            # What they send is taken, but they see no visit.
            assert (response.status_code, response.json["code"]) == (404, "NOT_FOUND"), rule
        elif rule.rule in {CLOSING, EVIDENCE}:
            # No scheme holds here and nothing was closed; who sees which is asked where some are.
            assert (response.status_code, response.json["code"]) == (404, "NOT_FOUND"), rule
        else:
            assert response.status_code in {200, 204}, (rule, response.get_data(as_text=True))


# Who sees what is asked of both databases by the same statements: on the second, one asks who sees much.
@pytest.mark.parametrize(
    ("shared_app", "who"),
    [*(("sqlite", who) for who in [*ROLE, "gone", "nobody"]), ("postgresql", "boss")],
    indirect=["shared_app"],
)
def test_nothing_of_another_organisation_or_team_is_in_any_answer(stage: Stage, who: str) -> None:
    hidden = [FOREIGN, FOREIGN.lower(), *stage.foreign.values(), stage.other.org]
    if who not in SEES_SOUTH:
        hidden += [SOUTHERN, *(stage.south[kind] for kind in ("customer", "visit", "follow_up", "comment"))]
    asked = 0
    for _, method, path, options in stage.requests(who):
        response = stage.call(who, method, path, **options)
        told = everything(response)
        assert response.status_code < 500, (method, path, told)
        sent = path + json.dumps(options, default=repr)
        for mark in hidden:
            # An error that repeats the question tells nothing that one did not know.
            repeated = mark in sent and response.status_code in {404, 422}
            assert mark not in told or repeated, (method, path, mark, told)
            if mark in {FOREIGN, SOUTHERN}:  # words nobody here ever sent, so not even in what is parked
                assert mark.encode() not in response.get_data() or repeated, (method, path, mark)
        asked += 1
    assert asked > 300


def test_another_organisations_people_see_their_own_and_nothing_of_ours(stage: Stage) -> None:
    hidden = [
        "Ours",
        SOUTHERN,
        stage.world.org,
        *stage.own.values(),
        *(stage.south[kind] for kind in ("customer", "visit", "follow_up", "comment")),
    ]
    for _, method, path, options in stage.requests("outsider"):
        response = stage.call("outsider", method, path, **options)
        told, sent = everything(response), path + json.dumps(options, default=repr)
        assert response.status_code < 500, (method, path, told)
        for mark in hidden:
            assert mark not in told or mark in sent, (method, path, mark, told)


@pytest.mark.parametrize("who", ["rob", "mia", "admin"])
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("visit", "/api/visits/{}"),
        ("visit", "/api/visits/{}/history"),
        ("customer", "/api/customers/{}"),
        ("follow_up", "/api/follow-ups/{}"),
        *((kind, f"/api/history/{kind}/{{}}") for kind in ("visit", "customer", "follow_up", "comment")),
    ],
)
def test_an_id_of_others_answers_exactly_as_one_that_does_not_exist(
    stage: Stage, who: str, kind: str, path: str
) -> None:
    def answer(entity: str) -> Any:
        response = stage.call(who, "GET", path.format(entity))
        body = {name: value for name, value in response.json.items() if name != "request_id"}
        headers = {name: value for name, value in response.headers if name not in {"Date", "X-Request-Id"}}
        return response.status_code, body, headers

    unknown = answer(str(uuid4()))
    assert unknown[0] == 404
    for other in ("visit", "customer", "follow_up"):
        assert answer(stage.foreign[other]) == unknown
    if who not in SEES_SOUTH:
        assert answer(stage.south[kind]) == unknown
    else:
        assert answer(stage.south[kind])[0] == 200


@pytest.mark.parametrize("who", ["rob", "mia"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/board?team={team}",
        "/api/visits?team={team}",
        "/api/visits?rep={rep}",
        "/api/visits?customer={customer}",
        "/api/customers?team={team}",
        "/api/customers?owner={rep}",
        "/api/follow-ups?owner={rep}",
        "/api/follow-ups?customer={customer}",
    ],
)
def test_a_filter_by_an_id_of_others_answers_as_by_one_that_does_not_exist(
    stage: Stage, who: str, path: str
) -> None:
    def answer(ids: dict[str, str]) -> Any:
        response = stage.call(who, "GET", path.format(**ids))
        body = response.json
        return response.status_code, {
            name: value for name, value in body.items() if name not in {"request_id", "generated_at"}
        }

    unknown = answer(dict.fromkeys(("team", "rep", "customer"), str(uuid4())))
    assert answer(stage.foreign) == unknown
    assert answer(stage.south) == unknown


def test_a_team_above_ones_own_is_nobody_elses_business(stage: Stage) -> None:
    root = stage.world.ids["root"]
    assert stage.call("mia", "GET", f"/api/board?team={root}").status_code == 404
    assert stage.call("boss", "GET", f"/api/board?team={root}").status_code == 200
    names = {item["name"] for item in stage.call("mia", "GET", f"/api/customers?team={root}").json["items"]}
    assert names and not any(SOUTHERN in name for name in names)


def test_a_token_reads_its_own_organisation_alone_whatever_it_claims(stage: Stage) -> None:
    secret = stage.world.tokens["admin"].partition(".")[2]
    theirs = f"{stage.other.tokens['admin'].partition('.')[0]}.{secret}"
    for forged in (theirs, secret, f".{secret}", f"{uuid4().hex}.{secret}", "x.y", "é"):
        response = stage.app.test_client().get(
            "/api/me", headers={"Authorization": f"Bearer {forged}".encode().decode("latin-1")}
        )
        assert (response.status_code, response.json["code"]) == (401, "SIGN_IN_REQUIRED"), forged


def test_a_pull_token_of_somebody_else_gives_nothing_of_theirs(stage: Stage) -> None:
    sam = stage.world.phone("sam")
    sam.pull()
    rob = stage.world.phone("rob")
    for client in (rob.client, str(uuid4())):
        rob.client = client
        for token in (sam.token, stage.token, "garbage", (sam.token or "")[:-4], "é"):
            response = rob.send(pull={"token": token, "limit": 500})
            assert response.status_code == 200
            assert SOUTHERN not in response.text and FOREIGN not in response.text
            assert stage.world.ids["rob"] in json.dumps(response.json["pull"]["reset"])


def test_names_of_colleagues_are_known_in_the_whole_organisation_and_nothing_more_of_them(
    stage: Stage,
) -> None:
    rob = stage.world.phone("rob")
    rob.pull()
    assert stage.world.ids["sam"] in rob.held("person")
    told = json.dumps([sorted(document) for document in rob.held("person").values()])
    for secret in ("email", "password", "password_hash", "token", "digest"):
        assert secret not in told
    today = datetime.now(UTC).date().isoformat()
    assert "@" not in stage.call("boss", "GET", f"/api/board?date={today}").text
