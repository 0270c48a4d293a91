"""The checks of whom to tell: commands, and URLs with and without TLS."""

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.checks import CheckResult, CheckState
from tests.e2e.harness import free_port
from tests.tui.cli.examine import Examine
from tui.cli.doctor.notify import check_notify
from tui.cli.doctor.settings import read_settings


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate for localhost that nobody has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def listener(certificate: Path | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Accept one connection, by TLS if there is a certificate; yield the port and what was received."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with suppress(OSError), connection:
                if certificate is not None:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate)
                    with context.wrap_socket(connection, server_side=True) as protected:
                        received.append(protected.recv(1))
                else:
                    received.append(connection.recv(1))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], received
        thread.join(10)
    assert not thread.is_alive()


def checked(config: Path, *targets: str) -> list[CheckResult]:
    file = config / "stitcherd.toml"
    entries = "".join(f'[[notify]]\non = ["job.failed"]\n{target}\n' for target in targets)
    file.write_text(f"{file.read_text()}\n{entries}")
    return list(check_notify(read_settings(config)))


def test_a_command_must_be_there(config: Path) -> None:
    there, missing = checked(config, 'run = ["sh", "-c", "true"]', 'run = ["no-such-notifier", "{summary}"]')
    assert (there.name, there.state) == ("notify 1", CheckState.OK)
    assert (missing.name, missing.state) == ("notify 2", CheckState.PROBLEM)
    assert missing.detail == "there is no program no-such-notifier"
    assert missing.remedy == "put it on the PATH of stitcherd, or use its absolute path in run of [[notify]] 2"


def test_something_must_answer_at_a_url_and_nothing_is_sent(config: Path) -> None:
    with listener() as (port, received):
        open_, closed = checked(
            config,
            f'url = "http://127.0.0.1:{port}/hooks/part-of-a-secret"\nsecret = {{env = "DOCTORS_SECRET"}}',
            f'url = "http://127.0.0.1:{free_port()}/"\nsecret = {{env = "DOCTORS_SECRET"}}',
        )
    assert received == [b""]
    assert (open_.state, closed.state) == (CheckState.INFO, CheckState.PROBLEM)
    assert "part-of-a-secret" not in open_.detail
    assert closed.detail == "nothing answers at 127.0.0.1: Connection refused"


def test_a_host_that_does_not_exist(config: Path) -> None:
    (result,) = checked(config, 'url = "https://no-such-host.invalid/x"\nsecret = {env = "DOCTORS_SECRET"}')
    assert (result.state, result.detail) == (CheckState.PROBLEM, "there is no host no-such-host.invalid")


def test_a_certificate_must_be_trusted(config: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listener(certificate) as (port, _):
        target = f'url = "https://localhost:{port}/"\nsecret = {{env = "DOCTORS_SECRET"}}'
        (result,) = checked(config, target)
    assert (result.state, "is not accepted: self-signed certificate" in result.detail) == (CheckState.PROBLEM, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with listener(certificate) as (port, received):
        [_, trusted] = checked(config, f'url = "https://localhost:{port}/"\nsecret = {{env = "DOCTORS_SECRET"}}')
    assert (trusted.state, received) == (CheckState.INFO, [b""])


def test_the_doctor_examines_them(config: Path, examine: Examine) -> None:
    checked(config, 'run = ["no-such-notifier"]')
    code, results = examine()
    assert (code, [result.state for result in results["notify 1"]]) == (1, [CheckState.PROBLEM])
