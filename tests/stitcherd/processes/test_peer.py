"""Tests who is taken for a command of a job when it connects to a Unix socket."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stitcherd.processes import peer
from stitcherd.processes.tree import read_process

# Answers each connection with what find_job_origin says of it, once it has received something; runs a command of its
# own, as an agent, for a connection that sends one.
SERVER = """
import socket, subprocess, sys
from stitcherd.processes import become_subreaper
from stitcherd.processes.peer import find_job_origin
become_subreaper()
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    script = connection.recv(4096).decode()
    if script == "who":
        connection.sendall(str(find_job_origin(connection)).encode())
    else:
        subprocess.Popen(["sh", "-c", script], start_new_session=True)
    connection.close()
"""
CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
ASK = "s.sendall(b'who'); print(s.recv(4096).decode())"
DAEMONS = "was started by the daemon, or by a process that was"


class Server:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "s"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(self.path)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        with self.process.stdout as output:
            assert output.readline() == "listening\n"

    def send(self, text: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.path))
            connection.sendall(text.encode())
            return connection.recv(4096).decode()

    def ask_from(self, code: str, *, prefix: str = "", suffix: str = "") -> str:
        """Let the server start a client with a shell; return what the server says of it."""
        output = self.root / "output"
        os.mkfifo(output)
        client = self.root / "client.py"
        client.write_text(code)
        self.send(f"{prefix} {sys.executable} -I {client} {self.path} >{output} 2>&1 {suffix}")
        return output.read_text().strip()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.kill()
    server.process.wait()


def run_client(server: Server, code: str = CONNECT + ASK, **env: str) -> str:
    argv = [sys.executable, "-c", code, str(server.path)]
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_parent_of_the_daemon_and_its_children_are_no_jobs(server: Server) -> None:
    assert server.send("who") == "None"
    assert run_client(server) == "None"


def test_what_the_daemon_started_belongs_to_a_job(server: Server) -> None:
    assert server.ask_from(CONNECT + ASK) == DAEMONS


def test_an_orphan_in_a_session_of_its_own_still_belongs_to_a_job(server: Server) -> None:
    orphan = "import os\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nos.chdir('/')\n"
    assert server.ask_from(orphan + CONNECT + ASK, prefix="(setsid env -i", suffix="&)") == DAEMONS


def test_a_new_pid_namespace_hides_no_ancestor(server: Server) -> None:
    if subprocess.run(["unshare", "--user", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED HERE: no user namespaces")
    assert server.ask_from(CONNECT + ASK, prefix="unshare --user --pid --fork") == DAEMONS


def test_the_variable_of_a_job_marks_a_process_and_what_it_starts(server: Server) -> None:
    marked = "has STITCHER_JOB_ID in its environment, or was started by a process that has"
    assert run_client(server, STITCHER_JOB_ID="some") == marked
    argv = ["env", "-i", sys.executable, "-c", CONNECT + ASK, str(server.path)]
    assert run_client(server, f"import subprocess; subprocess.run({argv})", STITCHER_JOB_ID="some") == marked


@pytest.mark.parametrize("known", [True, False])
def test_whoever_passed_its_connection_on_and_ended_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:  # as before Linux 6.5
        monkeypatch.setattr(peer, "SO_PEERPIDFD", 0x7FFF)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        started = subprocess.Popen(
            [
                sys.executable,
                "-c",
                CONNECT + "import os\nif os.fork(): os._exit(0)\nsys.stdin.read()",
                str(tmp_path / "s"),
            ],
            stdin=subprocess.PIPE,
        )
        connection, _ = listener.accept()
        with connection:
            os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # still a zombie, then gone
            assert peer.find_job_origin(connection) == "has ended"
            started.wait()
            assert peer.find_job_origin(connection) == "has ended"
        assert started.stdin
        started.stdin.close()


def test_a_process_whose_parents_change_during_each_look_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "read_process", lambda *_, **__: None)
    assert peer._find_origin(os.getppid()) == "has parents that keep changing"


def test_a_parent_that_proc_hides_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_outsiders", {})
    parent = read_process(os.getppid())
    assert parent
    monkeypatch.setattr(peer, "_is_hidden", lambda pid: pid == parent.parent)
    assert peer._find_origin(parent.pid) is None


def test_a_process_of_no_job_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_outsiders", {})
    read: list[int] = []

    def counted(pid: int, *, strict: bool) -> object:
        read.append(pid)
        return read_process(pid)

    monkeypatch.setattr(peer, "read_process", counted)
    assert [peer._find_origin(os.getppid()) for _ in range(2)] == [None, None]
    assert read.count(os.getppid()) == 2
    assert len(read) > 2
    assert len(read) == len(set(read)) + 1  # the second look does not go beyond the process itself


@pytest.mark.parametrize("name", ["stat", "environ"])
def test_a_process_that_cannot_be_looked_at_for_lack_of_descriptors_is_not_accepted_yet(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read = Path.read_bytes

    def fail(path: Path) -> bytes:
        if path.name == name:
            raise OSError(errno.EMFILE, "Too many open files")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen(["sleep", "9"]) as child:
        monkeypatch.setattr(peer, "find_peer", lambda _: peer.Peer(child.pid, os.getuid()))
        monkeypatch.setattr(peer, "_open_handle", lambda *_: os.pidfd_open(child.pid))
        with pytest.raises(OSError, match="Too many open files"):
            peer.find_job_origin(ours)
        child.kill()
