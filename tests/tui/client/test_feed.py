"""The feed: a snapshot, every event once, and reconnecting after every kind of disconnect."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.fake_daemon import FakeDaemon
from tui.client.feed import ConnectionLost, EventBatch, FeedItem, FeedReader, Resumed, Snapshot
from tui.client.http import DaemonClient


class Listener:
    """Takes the items as soon as it is notified."""

    def __init__(self, feed: FeedReader) -> None:
        self.news: list[FeedItem] = []
        self._feed = feed
        self._rang = threading.Event()
        feed.listen(self._rang.set)

    def wait(self, holds: Callable[[list[FeedItem]], object]) -> list[FeedItem]:
        deadline = time.monotonic() + 10
        while not holds(self.news):
            assert time.monotonic() < deadline, self.news
            self._rang.wait(0.05)
            self._rang.clear()
            self.news += self._feed.take()
        return self.news

    @property
    def ids(self) -> list[int]:
        return [event.id for news in self.news if isinstance(news, EventBatch) for event in news.events]


@pytest.fixture
def feed(daemon: FakeDaemon) -> Iterator[FeedReader]:
    made = FeedReader(DaemonClient(daemon.path), timeout=5, delays=(0.02, 0.05))
    made.start()
    yield made
    made.stop()


def test_a_snapshot_is_followed_by_later_events(daemon: FakeDaemon, feed: FeedReader) -> None:
    job = daemon.job(1)
    daemon.commit_event("job.created", job)
    listener = Listener(feed)
    listener.wait(lambda news: isinstance(news[0], Snapshot) if news else False)
    for _ in range(5):
        daemon.commit_event("job.started", job)
    listener.wait(lambda _news: listener.ids and listener.ids[-1] == daemon.cursor)
    assert listener.ids == sorted(set(listener.ids))


def test_a_lost_connection_is_resumed_without_a_gap(daemon: FakeDaemon, feed: FeedReader) -> None:
    listener = Listener(feed)
    listener.wait(lambda news: any(isinstance(each, Snapshot) for each in news))
    daemon.commit_event("job.created", daemon.job(1))
    listener.wait(lambda _news: listener.ids == [1])
    daemon.disconnect()
    lost = listener.wait(lambda news: isinstance(news[-1], ConnectionLost) and news[-1].attempt > 1)[-1]
    assert isinstance(lost, ConnectionLost)
    assert str(daemon.path) in lost.reason
    assert lost.pause == 0.05
    for _ in range(3):
        daemon.commit_event("job.started", daemon.jobs[0])
    daemon.unreachable = False
    listener.wait(lambda _news: listener.ids == [1, 2, 3, 4])
    assert any(isinstance(each, Resumed) for each in listener.news)
    assert sum(isinstance(each, Snapshot) for each in listener.news) == 1


@pytest.mark.parametrize("change", ["another database", "pruned"])
def test_a_stream_that_cannot_be_resumed_starts_with_a_snapshot(
    daemon: FakeDaemon, feed: FeedReader, change: str
) -> None:
    listener = Listener(feed)
    daemon.commit_event("job.created", daemon.job(1))
    listener.wait(lambda news: any(isinstance(each, Snapshot) for each in news))
    daemon.commit_event("job.started", daemon.jobs[0])
    listener.wait(lambda _news: listener.ids and listener.ids[-1] == 2)
    daemon.disconnect()
    listener.wait(lambda news: isinstance(news[-1], ConnectionLost))
    for _ in range(5):
        daemon.commit_event("job.started", daemon.jobs[0])
    if change == "pruned":
        daemon.pruned = 6
    else:
        daemon.instance = "two"
    daemon.unreachable = False
    listener.wait(lambda news: sum(isinstance(each, Snapshot) for each in news) == 2)
    daemon.commit_event("job.completed", daemon.jobs[0])
    listener.wait(lambda _news: listener.ids[-1] == 8)


def test_a_daemon_that_was_never_reachable(tmp_path: Path) -> None:
    feed = FeedReader(DaemonClient(tmp_path / "none"), delays=(0.01,))
    listener = Listener(feed)
    feed.start()
    listener.wait(lambda news: len(news) > 2 and all(isinstance(each, ConnectionLost) for each in news))
    feed.stop()


def test_a_slow_listener_holds_up_the_stream_and_loses_nothing(
    daemon: FakeDaemon, feed: FeedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.feed.MAX_PENDING", 10)
    for _ in range(50):
        daemon.commit_event("job.started")
    listener = Listener(feed)
    listener.wait(lambda news: any(isinstance(each, Snapshot) for each in news))
    for _ in range(200):
        daemon.commit_event("job.started")
    listener.wait(lambda _news: listener.ids and listener.ids[-1] == 250)
    assert listener.ids == list(range(listener.ids[0], 251))


def test_reconnect_now(daemon: FakeDaemon) -> None:
    daemon.unreachable = True
    feed = FeedReader(DaemonClient(daemon.path), delays=(60.0,))
    listener = Listener(feed)
    feed.start()
    listener.wait(lambda news: news and isinstance(news[-1], ConnectionLost))
    daemon.unreachable = False
    feed.reconnect_now()
    listener.wait(lambda news: isinstance(news[-1], Snapshot))
    feed.stop()
