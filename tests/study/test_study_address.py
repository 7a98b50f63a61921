"""Where a study is served and by which names, and what its buttons are called."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from served import served
from studies import make_study

from benchbench.core.errors import InputError
from benchbench.study.folder import Study
from benchbench.study.kinds import KINDS
from benchbench.study.screen import choices
from benchbench.study.serving.hosts import Hosts
from benchbench.study.serving.server import Server

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path / "s", n=2, checks=0)


@pytest.mark.parametrize(
    ("host", "header", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8000", True), ("127.0.0.1", "localhost", True), ("127.0.0.1", "LocalHost:1", True),
        ("127.0.0.1", "[::1]:8000", True), ("127.0.0.1", "evil.example", False), ("127.0.0.1", "evil.example:1", False),
        ("127.0.0.1", "localhost.evil.example", False), ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.0.5", False), ("127.0.0.1", "", False), ("127.0.0.1", "localhost@evil.example", False),
        ("127.0.0.1", "localhost:80:80", False), ("127.0.0.1", "localhost/", False), ("127.0.0.1", " localhost", False),
        ("127.0.0.1", "0.0.0.0", False), ("192.168.0.5", "192.168.0.5:80", True), ("192.168.0.5", "192.168.0.6", False),
        ("lab-machine", "lab-machine:8000", True), ("Lab-Machine", "lab-machine", True), ("lab-machine", "lab", False),
        ("0.0.0.0", "192.168.0.5:8000", True), ("0.0.0.0", "[fe80::1]:8000", True), ("0.0.0.0", "evil.example", False),
        ("::", "10.0.0.1", True), ("::", "evil.example", False), ("::1", "[::1]", True),
    ],
)  # fmt: skip
def test_names_that_nobody_else_can_give(host: str, header: str, allowed: bool) -> None:
    """A site whose own name leads to this machine (DNS rebinding) is told by the name that its page was asked under; an
    address in numbers is no name."""
    assert Hosts(host).allow(header) is allowed


def test_an_address_that_is_taken(study: Study) -> None:
    """One sentence that names the port and the way out; so is an address that is not this machine's."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = rf"cannot serve on 127\.0\.0\.1 port {port}: Address already in use; give another --port"
        with pytest.raises(InputError, match=said):
            Server(study, "127.0.0.1", port)
    nobodys = "192.0.2.1"  # TEST-NET-1 (RFC 5737)
    with pytest.raises(InputError, match=rf"{nobodys} is the address of another machine; give --host"):
        Server(study, nobodys, 0)
    with pytest.raises(InputError, match="'no such host' is no name or address"):
        Server(study, "no such host", 0)
    with pytest.raises(InputError, match="host='' must be a name"):
        Server(study, "", 0)
    for port in (-1, 65536, 2**70, True, 0.5):
        with pytest.raises(InputError, match="must be a whole number from 0 to 65,535"):
            Server(study, port=port)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_library_is_one_sentence(
    missing: str, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what to install."""
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(InputError, match=f"serving a study needs {missing}: pip install starlette uvicorn"):
        Server(study)


@pytest.mark.parametrize(
    ("host", "only_here", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:"), ("localhost", True, "http://localhost:"),
        ("0.0.0.0", False, "http://127.0.0.1:"),
    ],
)  # fmt: skip
def test_who_reaches_an_address(host: str, only_here: bool, url: str, study: Study) -> None:
    """Addresses that begin with 127 are this machine's own (RFC 1122); 0.0.0.0 stands for all that it has, and what
    that means is said with the port."""
    with closing(Server(study, host, 0)) as server:
        address = server.address
    assert address.only_here is only_here
    assert address.url == f"{url}{address.port}/"
    assert f"everybody who reaches this machine open the study on port {address.port}" in address.warning
    assert "no TLS" in address.warning


def test_all_addresses_that_work_are_said(study: Study) -> None:
    """On all addresses of the machine: each that is said answers, under the name that stands in it; one address says
    itself alone."""
    with closing(Server(study, "127.0.0.1", 0)) as server:
        assert server.address.urls == [server.address.url]
    with served(study, "0.0.0.0") as caller:
        address = caller.address
        assert address.urls[0] == caller.url
        assert len(set(address.urls)) == len(address.urls) == 1 + len(address.others)
        for url in address.urls:
            with urllib.request.urlopen(url, timeout=30) as response:
                assert response.status == 200


def test_a_link_by_another_name_is_refused_in_words(study: Study) -> None:
    """A browser that opens it reads a sentence; what a script asks for is JSON as ever."""
    with served(study) as caller:
        seen = caller.ask("GET", "/", Host="lab:8000", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
        assert seen.status == 421
        assert seen.headers["content-type"].startswith("text/plain")
        assert b"does not answer to the name in this link" in seen.body
        assert "error" in caller.ask("GET", "/", Host="lab:8000", Accept="*/*").json
        lost = caller.ask("GET", "/nothing", Accept="text/html")
        assert (lost.status, lost.headers["content-type"].partition(";")[0]) == (404, "text/plain")
    with served(study, names=("lab",)) as caller:
        assert caller.ask("GET", "/", Host="lab:8000").status == 200


def test_every_question_has_its_own_buttons(tmp_path: Path) -> None:
    """By the kinds' choices; keys of one question are of one choice each."""
    for kind, asks in KINDS.items():
        for ties in {False, asks.ties}:
            found = choices(make_study(tmp_path / f"{kind}{ties}", kind, n=1, checks=0, ties=ties).manifest)
            values = [int(own) if own.isdigit() else own for own in asks.choices] + (["tie"] if ties else [])
            assert [choice["value"] for choice in found] == values
            keys = [key for choice in found for key in choice["keys"]]
            assert len(keys) == len(set(keys))
            assert {"ArrowLeft", "ArrowRight", "1", "2"} <= set(keys)
            assert len({choice["label"] for choice in found}) == len(found)
