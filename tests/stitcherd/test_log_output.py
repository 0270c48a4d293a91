"""The log's lines: as text, for the journal, and as JSON."""

import json
import logging

from stitcherd.log_output import JournalFormatter, JsonFormatter, TextFormatter

FORM = "%(levelname)s %(name)s: %(message)s"


def record(fields: dict[str, object], message: str = "job.failed", *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("stitcherd", logging.WARNING, __file__, 1, message, arguments, None)
    vars(made)["fields"] = fields
    return made


def failed_record(fields: dict[str, object]) -> logging.LogRecord:
    made, error = record(fields), LookupError("it is gone")
    made.exc_info = (LookupError, error, None)
    return made


def test_fields_follow_the_message_and_are_quoted_where_their_end_could_not_be_seen() -> None:
    fields: dict[str, object] = {
        "jobId": "0199",
        "attempt": 2,
        "detail": 'gate "tests" failed\nx',
        "none": "",
        "name": "ä",
        "a": "b=c",
    }
    line = TextFormatter(FORM).format(record(fields))
    expected = 'jobId=0199 attempt=2 detail="gate \\"tests\\" failed\\nx" none="" name="ä" a="b=c"'
    assert line == f"WARNING stitcherd: job.failed {expected}"
    assert TextFormatter(FORM).format(record({}, "source %s is held", "hub")) == "WARNING stitcherd: source hub is held"


def test_a_line_for_the_journal_begins_with_its_priority_those_of_a_traceback_too() -> None:
    lines = JournalFormatter("%(name)s: %(message)s").format(failed_record({"jobId": "0199"})).split("\n")
    assert lines[0] == "<4>stitcherd: job.failed jobId=0199"
    assert lines[-1] == "<4>LookupError: it is gone"
    assert all(line.startswith("<4>") for line in lines)


def test_a_record_is_one_line_of_json() -> None:
    line = JsonFormatter().format(failed_record({"jobId": "0199", "detail": "a\nb"}))
    assert "\n" not in line
    document = json.loads(line)
    assert document.pop("time").endswith("Z")
    assert document.pop("exception").endswith("LookupError: it is gone")
    named = {"level": "warning", "logger": "stitcherd", "message": "job.failed"}
    assert document == {**named, "jobId": "0199", "detail": "a\nb"}
