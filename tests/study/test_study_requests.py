"""What the server of a study answers to requests, hostile ones first: refused, nothing told, nothing lost.

Statuses are those of HTTP (RFC 9110), by the contract in `study/serving/app.py`.
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from served import Caller, lines, served
from studies import make_study

from benchbench.study.answer import rater_of
from benchbench.study.answers import answers_of
from benchbench.study.folder import Study
from benchbench.study.kinds import KINDS
from benchbench.study.serving.reception import Reception, Refused

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
app = importlib.import_module("benchbench.study.serving.app")  # which needs them
NAMES = ("stylish-gan", "honest-vae", "old-flow")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study") / "the-owners-folder", names=NAMES)


@pytest.fixture(scope="module")
def caller(study: Study) -> Iterator[Caller]:
    """One server for all: each test has people of its own."""
    with served(study) as found:
        yield found


def kept(study: Study, token: str) -> list[dict[str, Any]]:
    """What stands on disk of a person's answers."""
    return lines(study).get(rater_of(token), [])


@pytest.mark.costly
def test_an_answer_means_what_was_seen(study: Study, caller: Caller) -> None:
    """A whole study by one person who always takes the first place: on disk stands which image that was, all items
    stand there once, in the order in which they were shown, and the page is told how far it is."""
    token, seen = caller.begin(), []
    while (screen := caller.next(token))["item"] is not None:
        assert screen["done"] == len(seen)
        assert screen["total"] == 16
        seen.append(screen)
        after = caller.answer(token, screen["item"]).json
        assert after == caller.next(token)
    answers = kept(study, token)
    assert after == {"item": None, "done": 16, "total": 16, "rater": rater_of(token)}
    assert [own["item"] for own in answers] == [screen["item"] for screen in seen]
    for screen, own in zip(seen, answers, strict=True):
        images = study.item(own["item"]).images
        assert screen["images"] == [f"/images/{images[number]}.png" for number in own["shown"]]
        assert own["choice"] == str(own["shown"][0])
    assert set(answers[0]) == {"item", "choice", "shown", "ms", "at"}


@pytest.mark.costly
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_browser_gets_tells_nothing(kind: str, tmp_path: Path) -> None:
    """All responses to a person who does the whole study, page and scripts among them: no name of a system, no check
    flag, no path, no secret. What stands in the JSON is a stated list of fields."""
    study = make_study(tmp_path / "the-owners-folder", kind, n=4, checks=1, names=NAMES)
    place = "fake" if kind == "real-or-fake" else 0
    with served(study) as caller:
        for path in ("/", "/page.css", "/page.js", "/over_http.js", "/icon.svg", "/favicon.ico"):
            caller.ask("GET", path)
        token = caller.begin()
        screen = caller.next(token)
        fields = set(screen)
        while screen["item"] is not None:
            for url in [*screen["images"], *screen["ahead"], *filter(None, [screen["source"]])]:
                assert caller.ask("GET", url).headers["content-type"] == "image/png"
            screen = caller.answer(token, screen["item"], place).json
    assert fields == {"item", "images", "source", "question", "choices", "done", "total", "ahead", "rater"}
    everything = b"\n".join(json.dumps(said.headers).encode() + said.body for said in caller.told)
    fields_of_items = ['"systems', '"check', '"order', '"shown']
    for word in (
        *NAMES,
        "the-owners-folder",
        str(tmp_path),
        study.manifest.secret,
        "digits",
        *fields_of_items,
    ):
        assert word.encode() not in everything, word


def test_the_next_pictures_are_named_without_their_places(study: Study, caller: Caller) -> None:
    """`ahead` has the images of the next item, sorted."""
    token = caller.begin()
    first = caller.next(token)
    second = caller.answer(token, first["item"]).json
    assert first["ahead"] == sorted(second["images"])


@pytest.mark.parametrize(
    "path",
    [
        "/study.json", "/../study.json", "/images/../study.json", "/images/..%2fstudy.json", "//etc/passwd",
        "/images/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "/images/%2fetc%2fpasswd", "/images/..\\study.json",
        "/images/study.json.png", "/images/%00.png", "/answers/", "/images/", "/page.html.j2",
        "/page.js/../../study.py", "/images/%2e%2e/study.json",
        "/images/0000000000000000.png", "/consent.txt", "/api/", "/api/next/", "/api/answer/../next",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(path: str, caller: Caller) -> None:
    """Of the folder only images that the manifest lists have an address. Paths stand on the wire as they are here."""
    said = caller.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.1 (404|400|405) ", said), said
    assert b"root:" not in said
    assert b"secret" not in said


def test_every_response_is_under_the_policy(study: Study, caller: Caller) -> None:
    """Refusals too; no script, style, picture or request of anywhere else, no frame, no cache, no referrer."""
    caller.told.clear()
    token = caller.begin()
    caller.ask("GET", "/")
    caller.ask("GET", caller.next(token)["images"][0])
    caller.ask("GET", "/nowhere")
    caller.ask("DELETE", "/api/next")
    caller.ask("GET", "/", Host="evil.example")
    caller.ask("GET", "/api/next", token="0" * 32)
    caller.ask("POST", "/api/answer", b"{", token)
    caller.ask("POST", "/api/answer", b"x" * 5000, token)
    assert {said.status for said in caller.told} == {200, 400, 401, 404, 405, 413, 421}
    for said in caller.told:
        for name, value in app.HEADERS.items():
            assert said.headers[name.lower()] == value
        assert "server" not in said.headers
        assert "last-modified" not in said.headers  # when an image was written might tell which run made it
    policy = app.HEADERS["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/api/start", "/api/next", "/api/answer"])
def test_other_methods_are_refused(method: str, path: str, caller: Caller) -> None:
    """405; and no CORS header lets another site's page read anything."""
    said = caller.ask(method, path, Origin="http://evil.example")
    assert said.status == 405
    assert not any(name.startswith("access-control") for name in said.headers)


def test_other_peoples_tokens(study: Study, caller: Caller) -> None:
    """A token that the server did not make is nobody's: the rater's number, which stands on disk, is none, nor is one
    with one digit changed. With a token of one's own nobody writes into another's file."""
    mine, theirs = caller.begin(), caller.begin()
    item = caller.next(theirs)["item"]
    caller.answer(theirs, item)
    forged = [
        "", "0" * 32, rater_of(theirs) * 2, theirs[:-1] + ("0" if theirs[-1] != "0" else "1"), theirs + "0",
        theirs.upper().replace("A", "B"), mine[:16] + theirs[16:], "../" + theirs,
    ]  # fmt: skip
    for token in forged:
        assert caller.ask("GET", "/api/next", token=token).status == 401, token
        assert caller.answer(token, item).status == 401, token
    assert caller.ask("GET", "/api/next").status == 401
    assert caller.ask("GET", "/api/next", Authorization=f"Basic {theirs}").status == 401
    before, people = kept(study, theirs), set(lines(study))
    while (screen := caller.next(mine))["item"] is not None:
        assert caller.answer(mine, screen["item"]).status == 200
    assert kept(study, theirs) == before
    assert set(lines(study)) == people | {rater_of(mine)}


def test_replayed_and_early_answers(study: Study, caller: Caller) -> None:
    """An answer to what was answered, the same or another one, and to what is not shown yet: 409, nothing written."""
    token = caller.begin()
    first = caller.next(token)["item"]
    last = next(item.id for item in study.manifest.items if item.id != first)
    assert caller.answer(token, last).status == 409
    assert kept(study, token) == []
    second = caller.answer(token, first, 0).json["item"]
    assert caller.answer(token, first, 0).status == 409
    assert caller.answer(token, first, 1).status == 409
    assert caller.next(token)["item"] == second
    assert [own["item"] for own in kept(study, token)] == [first]


@pytest.mark.parametrize(
    "changes",
    [
        {"place": 2}, {"place": -1}, {"place": "0"}, {"place": True}, {"place": 0.0}, {"place": None}, {"place": [0]},
        {"place": "real"}, {"place": "left"}, {"place": 2**70}, {"ms": -1}, {"ms": 1.5}, {"ms": "3"}, {"ms": 2**31},
        {"ms": True}, {"ms": None}, {"item": "../../x"}, {"item": "0" * 16}, {"item": 3}, {"item": None}, {"more": 1},
        {"choice": "0"}, {"shown": [1, 0]}, {"rater": "0" * 16}, {"at": "1999-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_malformed_answers(changes: dict[str, Any], study: Study, caller: Caller) -> None:
    """400 and nothing is written; the right one is taken afterwards."""
    token = caller.begin()
    right = {"item": caller.next(token)["item"], "place": 0, "ms": 5}
    assert caller.ask("POST", "/api/answer", right | changes, token).status == 400
    assert kept(study, token) == []
    assert caller.ask("POST", "/api/answer", right, token).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"3", b'"x"', b"[" * 4000, b"\xff\xfe{}", b'{"item": NaN}',
        b'{"item": "a", "item": "b", "place": 0, "ms": 1}', b'{"item": "\\ud800", "place": 0, "ms": 1}', b"\x00" * 100,
    ],
)  # fmt: skip
def test_what_is_no_json(body: bytes, study: Study, caller: Caller) -> None:
    """400 for answers and for consent, and nothing is written."""
    token = caller.begin()
    assert caller.ask("POST", "/api/answer", body, token).status == 400
    assert caller.ask("POST", "/api/start", body).status == 400
    assert kept(study, token) == []


def test_consent_is_said(caller: Caller) -> None:
    """Nobody gets a token without it."""
    for body in (
        {},
        {"consent": False},
        {"consent": 1},
        {"consent": "true"},
        {"consent": True, "name": "Ann"},
    ):
        assert caller.ask("POST", "/api/start", body).status == 400


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
def test_other_types_are_refused(kind: str, study: Study, caller: Caller) -> None:
    """A form on somebody else's site can send these without asking; JSON it cannot."""
    token = caller.begin()
    body = json.dumps({"item": caller.next(token)["item"], "place": 0, "ms": 1}).encode()
    assert caller.ask("POST", "/api/answer", body, token, Content_Type=kind).status == 415
    assert kept(study, token) == []


def test_ten_megabytes_are_refused_unread(study: Study, caller: Caller) -> None:
    """A stated length is refused before a byte of the body came; without one the connection is left as soon as it is
    too long. Either way 413, on GET too; and the bound itself is still read."""
    token = caller.begin()
    who = f"Authorization: Bearer {token}\r\n".encode()
    head = b"HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + who
    ten = b"x" * 10_000_000
    stated = caller.raw(b"POST /api/answer " + head + b"Content-Length: 10000000\r\n\r\n")
    assert stated.startswith(b"HTTP/1.1 413 ")
    assert caller.raw(b"GET / " + head + b"Content-Length: 10000000\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert caller.raw(b"POST /api/answer " + head + b"Content-Length: 9" + b"9" * 400 + b"\r\n\r\n")[
        9:12
    ] in (b"413", b"400")
    assert caller.raw(b"POST /api/answer " + head + b"Content-Length: -1\r\n\r\n")[9:12] == b"400"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    piece = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    assert caller.raw(b"POST /api/answer " + head + chunked + piece).startswith(b"HTTP/1.1 413 ")
    caller.raw(b"POST /api/answer " + head + b"Content-Length: 10000000\r\n\r\n", ten)
    caller.raw(b"POST /api/answer " + head + chunked, piece * 1300)
    assert caller.ask("POST", "/api/answer", b" " * app.MOST_BODY, token).status == 400
    assert kept(study, token) == []
    assert caller.answer(token, caller.next(token)["item"]).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\r\n" * 50, b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /api/start HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_harms_nobody(request_: bytes, caller: Caller) -> None:
    """Whatever becomes of that connection, the next one is answered."""
    caller.raw(request_, hang_up=True)
    assert caller.ask("GET", "/").status == 200


def test_a_full_disk_loses_nothing(
    study: Study, caller: Caller, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """The answer is refused with 503 while the system says that no space is left, and is not there afterwards; the same
    one is taken once there is. The owner is told on the terminal, the browser nothing of the folder."""
    token = caller.begin()
    first = caller.next(token)["item"]
    caller.answer(token, first)
    item = caller.next(token)["item"]
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if b'"choice"' in content:
            write(descriptor, content[:20])  # a part of it still found room
            raise OSError(28, "No space left on device")
        return write(descriptor, content)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        said = caller.answer(token, item)
    assert said.status == 503
    assert said.json == {"error": "The study cannot write down answers at the moment."}
    assert "No space left on device" in capfd.readouterr().err
    assert [own.item for own in answers_of(study, rater_of(token))] == [first]
    assert caller.answer(token, item).status == 200
    assert [own.item for own in answers_of(study, rater_of(token))] == [first, item]


def test_only_so_many_people(tmp_path: Path) -> None:
    """Who only begins takes no place; of those who answer the third is refused where two may."""
    study = make_study(tmp_path / "s")
    reception = Reception(study, most_raters=2)
    tokens = [reception.admit(b'{"consent": true}')["token"] for _ in range(5)]
    raters = [reception.rater(f"Bearer {token}") for token in tokens]
    for rater in raters[:2]:
        item = reception.next(rater)["item"]
        reception.take(rater, json.dumps({"item": item, "place": 0, "ms": 1}).encode())
    item = reception.next(raters[2])["item"]
    with pytest.raises(Refused, match="no more people than the 2") as refused:
        reception.take(raters[2], json.dumps({"item": item, "place": 0, "ms": 1}).encode())
    assert refused.value.status == 403
    with pytest.raises(Refused, match="no more people"):
        reception.admit(b'{"consent": true}')
    assert set(lines(study)) == set(raters[:2])
    second = reception.next(raters[0])["item"]  # who has begun goes on
    reception.take(raters[0], json.dumps({"item": second, "place": 1, "ms": 1}).encode())


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """A thousand connections have two ends each, both in this process."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if enough < 2500:
        pytest.skip("this system opens too few files at once")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.costly
@pytest.mark.usefixtures("many_open_files")
def test_a_thousand_at_once(study: Study, caller: Caller) -> None:
    """A hundred people send their first answer ten times each, all at once and not always the same one: of each ten
    exactly one is taken and nine are replays, each file holds one answer, and it is the one that 200 was said to."""
    people = [(token := caller.begin(), caller.next(token)["item"]) for _ in range(100)]
    asked = [(*people[k % 100], k // 100 % 2) for k in range(1000)]
    connections = [socket.create_connection(("127.0.0.1", caller.port), timeout=60) for _ in asked]
    try:
        for connection, (token, item, place) in zip(connections, asked, strict=True):
            body = json.dumps({"item": item, "place": place, "ms": 9}).encode()
            head = f"Content-Type: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}"
            connection.sendall(
                f"POST /api/answer HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode() + body[:-1]
            )
        for connection in connections:  # all wait for their last byte
            connection.sendall(b"}")
        statuses = [int(connection.recv(65536).split()[1]) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert Counter(statuses) == {200: 100, 409: 900}
    held = lines(study)
    for (token, _, place), status in zip(asked, statuses, strict=True):
        (own,) = held[rater_of(token)]
        if status == 200:
            assert own["choice"] == str(own["shown"][place])


def test_a_damaged_file_is_said_and_stays(tmp_path: Path, capfd: Any) -> None:
    """Nothing is appended to it; the browser is told to wait, the owner which line it is."""
    study = make_study(tmp_path / "s")
    with served(study) as caller:
        token = caller.begin()
        item = caller.next(token)["item"]
        caller.answer(token, item)
        path = study.folder / "answers" / f"{rater_of(token)}.jsonl"
        path.write_text(path.read_text() + "rubbish\n")
        before = path.read_bytes()
        said = caller.answer(token, item)
    assert said.status == 503
    assert str(study.folder) not in said.body.decode()
    assert "line 3 of" in capfd.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"POST /api/start HTTP/1.1\r\nHost: 127.0.0.1\r\n"
     b"Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{"],
    ids=["nothing", "half a head", "half a body"],
)  # fmt: skip
def test_who_says_nothing_is_hung_up_on(
    begun: bytes, study: Study, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a byte comes now and then, which starts no new time: a connection ends without a response, and
    nothing is logged. Whoever asks meanwhile is answered."""
    monkeypatch.setattr("benchbench.study.serving.connections.PATIENCE", 0.5)
    with served(study) as caller, socket.create_connection(("127.0.0.1", caller.port), timeout=60) as slow:
        slow.sendall(begun)
        slow.settimeout(0.1)
        found = None
        while found is None:
            with suppress(TimeoutError):
                try:
                    found = slow.recv(100)
                except ConnectionError:
                    found = b""
            with suppress(OSError):
                slow.send(b"x" if begun else b"")
        assert found == b""
        assert caller.begin()
    assert not caplog.records


def test_who_leaves_in_the_middle_is_no_fault(study: Study, caplog: pytest.LogCaptureFixture) -> None:
    """As a phone that goes out of reach: nothing is kept of half an answer, and no traceback is logged, which without a
    handler goes to the terminal."""
    with served(study) as caller:
        before = lines(study)
        caller.raw(
            b"POST /api/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 16\r\n\r\n{",
            hang_up=True,
        )
        assert caller.begin()
    assert lines(study) == before
    assert not caplog.records


def test_no_more_connections_than_there_is_room_for(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three fit: the others are ended at once, and when these are gone people are answered again."""
    with served(study) as caller:
        monkeypatch.setattr("benchbench.study.serving.connections.Connection.most", 3)
        held = [socket.create_connection(("127.0.0.1", caller.port), timeout=60) for _ in range(10)]
        ended = 0
        for own in held[3:]:
            with suppress(ConnectionError):
                assert own.recv(1) == b""
            ended += 1
        for own in held:
            own.close()
        assert ended == 7
        for _ in range(100):  # until it has heard that they are closed
            with suppress(OSError, http.client.HTTPException):
                assert caller.begin()
                break
            time.sleep(0.05)
        else:
            pytest.fail("nobody was answered any more")


def test_a_consent_text_that_is_away_is_said(
    tmp_path: Path, capfd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As while an editor saves it, or where the folder was moved: the browser is told to come again, and nothing of
    the folder, the owner reads one sentence and no traceback."""
    study = make_study(tmp_path / "s")
    with served(study) as caller:
        (study.folder / "consent.txt").write_text("")
        said = caller.ask("GET", "/")
        (study.folder / "consent.txt").write_text("Hello.")
        assert caller.ask("GET", "/").status == 200
    assert (said.status, said.json) == (503, {"error": "The study cannot be shown at the moment."})
    assert "Content-Security-Policy".lower() in said.headers
    assert "consent.txt is empty" in capfd.readouterr().err
    assert not caplog.records


def test_an_image_that_is_another_one_is_not_sent(tmp_path: Path) -> None:
    """503 instead of pixels that nobody drew for this study."""
    study = make_study(tmp_path / "s")
    reception, own = Reception(study), next(iter(study.manifest.images))
    assert reception.image(own) == study.image(own).read_bytes()
    study.image(own).write_bytes(b"other")
    with pytest.raises(Refused) as refused:
        reception.image(own)
    assert refused.value.status == 503


def test_nothing_about_a_person_is_written(study: Study, caller: Caller, capfd: Any) -> None:
    """Neither token nor address nor program stands in the folder, and nothing on the terminal."""
    token = caller.begin()
    caller.ask("GET", "/", User_Agent="a-very-rare-browser", Accept_Language="tlh")
    caller.ask(
        "POST",
        "/api/answer",
        {"item": caller.next(token)["item"], "place": 0, "ms": 1},
        token,
        User_Agent="rare",
    )
    written = b"".join(file.read_bytes() for file in study.folder.rglob("*.jsonl"))
    for word in (token, token[:16], "127.0.0.1", "rare", "tlh"):
        assert word.encode() not in written
    assert capfd.readouterr() == ("", "")
