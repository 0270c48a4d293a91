"""The same thing twice: by the sender's id, by its bytes, at the same moment, after a restart, and on one thread."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body


def test_the_same_id_at_the_same_moment_makes_one_job(daemon: DaemonHarness) -> None:
    body, name = comment_body("@mosaic free true", issue=11), str(uuid.uuid4())
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: daemon.github(body, X_GitHub_Delivery=name), range(50)))
    assert sorted(reply.status for reply in replies) == [200] * 49 + [202]
    assert len({(reply.json["deliveryId"], reply.json["jobId"]) for reply in replies}) == 1
    assert [reply.json["verdict"] for reply in replies].count("duplicate") == 49
    assert len(daemon.get("/runner-jobs?type=free")["items"]) == 1


def test_the_same_bytes_are_a_duplicate_under_any_id(daemon: DaemonHarness) -> None:
    body = comment_body("@mosaic free true", issue=12)
    first, second = daemon.github(body), daemon.github(body)
    assert (first.status, second.status) == (202, 200)
    assert second.json["verdict"] == "duplicate"
    assert second.json["deliveryId"] == first.json["deliveryId"]


def test_the_same_id_is_a_duplicate_with_any_bytes(daemon: DaemonHarness) -> None:
    name = str(uuid.uuid4())
    first = daemon.comment("@mosaic free true", issue=13, X_GitHub_Delivery=name)
    second = daemon.comment("@mosaic free false", issue=14, X_GitHub_Delivery=name)
    assert (first.status, second.status, second.json["verdict"]) == (202, 200, "duplicate")
    # What could not be read the second time was read the first time.
    assert daemon.github(b"{", X_GitHub_Delivery=name).json["verdict"] == "duplicate"
    # And no id helps without the signature.
    assert daemon.github(b"{}", secret="wrong", X_GitHub_Delivery=name).status == 401


def test_a_refused_delivery_can_be_sent_again(daemon: DaemonHarness) -> None:
    name = str(uuid.uuid4())
    assert daemon.github(b"{", X_GitHub_Delivery=name).status == 400
    assert daemon.comment("@mosaic free true", issue=15, X_GitHub_Delivery=name).status == 202


def test_a_type_is_open_once_on_a_thread(daemon: DaemonHarness) -> None:
    first = daemon.comment("@mosaic free sleep 30", issue=16).json
    second = daemon.comment("@mosaic free sleep 31", issue=16)
    assert (second.status, second.json["verdict"], second.json["jobId"]) == (200, "duplicate", first["jobId"])
    assert second.json["deliveryId"] != first["deliveryId"]
    assert first["jobId"][-8:] in second.json["reason"]
    assert daemon.comment("@mosaic fix true", issue=16).json["verdict"] == "allowed"
    daemon.ask("POST", f"/runner-jobs/{first['jobId']}/cancel")
    daemon.wait(first["jobId"], "CANCELLED")
    third = daemon.comment("@mosaic free true", issue=16)
    assert (third.status, third.json["verdict"]) == (202, "allowed")


def test_a_retry_gives_way_to_what_is_open_on_its_thread(daemon: DaemonHarness) -> None:
    first = daemon.comment("@mosaic free false", issue=17).json["jobId"]
    daemon.wait(first, "FAILED")
    second = daemon.comment("@mosaic free sleep 30", issue=17).json["jobId"]
    reply = daemon.ask("POST", f"/runner-jobs/{first}/retry")
    assert (reply.status, reply.json["code"]) == (409, "conflict")
    daemon.ask("POST", f"/runner-jobs/{second}/cancel")


def test_many_deliveries_at_the_same_moment_are_all_kept(daemon: DaemonHarness) -> None:
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda number: daemon.comment("@mosaic fix true", issue=number), range(100, 200)))
    assert {reply.status for reply in replies} == {202}
    jobs = {reply.json["jobId"] for reply in replies}
    assert len(jobs) == 100
    assert jobs <= {job["id"] for job in daemon.get("/runner-jobs?type=fix&limit=500")["items"]}


def test_what_was_seen_is_remembered_over_a_kill_for_as_long_as_it_shall(build: BuildDaemon) -> None:
    daemon = build(settings='[retention]\ndedupe = "3s"')
    daemon.start()
    body, name = comment_body("hello"), str(uuid.uuid4())
    first = daemon.github(body, X_GitHub_Delivery=name).json
    daemon.kill()
    daemon.start()
    again = daemon.github(body, X_GitHub_Delivery=name)
    if again.json["verdict"] == "duplicate":  # unless the machine was so slow that it is forgotten by now
        assert again.json["deliveryId"] == first["deliveryId"]
    later = wait_until(
        lambda: (reply := daemon.github(body, X_GitHub_Delivery=name)).json["verdict"] != "duplicate" and reply,
        "the delivery is forgotten",
    )
    assert (later.status, later.json["verdict"]) == (200, "ignored")
    assert later.json["deliveryId"] != first["deliveryId"]
