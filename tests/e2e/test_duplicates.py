"""Duplicates: by delivery id, by body, concurrently, after a restart, and on one thread."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body


def test_concurrent_deliveries_with_one_id_create_one_job(daemon: DaemonHarness) -> None:
    body, name = comment_body("@mosaic free true", issue=11), str(uuid.uuid4())
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: daemon.github(body, X_GitHub_Delivery=name), range(50)))
    assert sorted(reply.status for reply in replies) == [200] * 49 + [202]
    assert len({(reply.json["deliveryId"], reply.json["jobId"]) for reply in replies}) == 1
    assert [reply.json["verdict"] for reply in replies].count("duplicate") == 49
    assert len(daemon.get("/runner-jobs?type=free")["items"]) == 1


def test_the_same_body_is_a_duplicate_with_any_id(daemon: DaemonHarness) -> None:
    body = comment_body("@mosaic free true", issue=12)
    first, second = daemon.github(body), daemon.github(body)
    assert (first.status, second.status) == (202, 200)
    assert second.json["verdict"] == "duplicate"
    assert second.json["deliveryId"] == first.json["deliveryId"]


def test_the_same_id_is_a_duplicate_with_any_body(daemon: DaemonHarness) -> None:
    name = str(uuid.uuid4())
    first = daemon.comment("@mosaic free true", issue=13, X_GitHub_Delivery=name)
    second = daemon.comment("@mosaic free false", issue=14, X_GitHub_Delivery=name)
    assert (first.status, second.status, second.json["verdict"]) == (202, 200, "duplicate")
    # The second body is not valid JSON; the first one counts.
    assert daemon.github(b"{", X_GitHub_Delivery=name).json["verdict"] == "duplicate"
    # An id does not replace the signature.
    assert daemon.github(b"{}", secret="wrong", X_GitHub_Delivery=name).status == 401


def test_a_refused_delivery_can_be_sent_again(daemon: DaemonHarness) -> None:
    name = str(uuid.uuid4())
    assert daemon.github(b"{", X_GitHub_Delivery=name).status == 400
    assert daemon.comment("@mosaic free true", issue=15, X_GitHub_Delivery=name).status == 202


def test_a_thread_has_one_open_job_of_a_type(daemon: DaemonHarness) -> None:
    first = daemon.comment("@mosaic free sleep 30", issue=16).json
    second = daemon.comment("@mosaic free sleep 31", issue=16)
    assert (second.status, second.json["verdict"], second.json["jobId"]) == (200, "duplicate", first["jobId"])
    assert second.json["deliveryId"] != first["deliveryId"]
    assert first["jobId"][-8:] in second.json["reason"]
    assert daemon.comment("@mosaic fix true", issue=16).json["verdict"] == "allowed"
    daemon.request("POST", f"/runner-jobs/{first['jobId']}/cancel")
    daemon.wait(first["jobId"], "CANCELLED")
    third = daemon.comment("@mosaic free true", issue=16)
    assert (third.status, third.json["verdict"]) == (202, "allowed")


def test_a_thread_has_one_open_job_however_its_repository_is_spelled(daemon: DaemonHarness) -> None:
    first = daemon.mosaic(issueNumber="18", comment="@mosaic free sleep 30").json
    for spelled in ("Octo-Org/api", "octo-org/API", "OCTO-ORG/API"):
        again = daemon.mosaic(issueNumber="18", repository=spelled, comment=f"@mosaic free sleep 30 {spelled}").json
        assert (again["verdict"], again["jobId"]) == ("duplicate", first["jobId"])
    daemon.request("POST", f"/runner-jobs/{first['jobId']}/cancel")


def test_a_retry_is_refused_while_another_job_is_open_on_its_thread(daemon: DaemonHarness) -> None:
    first = daemon.comment("@mosaic free false", issue=17).json["jobId"]
    daemon.wait(first, "FAILED")
    second = daemon.comment("@mosaic free sleep 30", issue=17).json["jobId"]
    reply = daemon.request("POST", f"/runner-jobs/{first}/retry")
    assert (reply.status, reply.json["code"]) == (409, "conflict")
    daemon.request("POST", f"/runner-jobs/{second}/cancel")


def test_many_concurrent_deliveries_are_all_stored(daemon: DaemonHarness) -> None:
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda number: daemon.comment("@mosaic fix true", issue=number), range(100, 200)))
    assert {reply.status for reply in replies} == {202}
    jobs = {reply.json["jobId"] for reply in replies}
    assert len(jobs) == 100
    assert jobs <= {job["id"] for job in daemon.get("/runner-jobs?type=fix&limit=500")["items"]}


def test_duplicates_are_recognised_after_a_crash_until_retention(build: BuildDaemon) -> None:
    daemon = build(settings='[retention]\ndedupe = "3s"')
    daemon.start()
    body, name = comment_body("hello"), str(uuid.uuid4())
    first = daemon.github(body, X_GitHub_Delivery=name).json
    daemon.kill()
    daemon.start()
    again = daemon.github(body, X_GitHub_Delivery=name)
    if again.json["verdict"] == "duplicate":  # unless the machine was so slow that retention has passed
        assert again.json["deliveryId"] == first["deliveryId"]
    later = wait_until(
        lambda: (reply := daemon.github(body, X_GitHub_Delivery=name)).json["verdict"] != "duplicate" and reply,
        "the delivery is forgotten",
    )
    assert (later.status, later.json["verdict"]) == (200, "ignored")
    assert later.json["deliveryId"] != first["deliveryId"]
