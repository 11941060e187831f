"""A run's log is readable while it is written, and ends before it could stop the run."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from datasets.common.errors import DataError
from pipelines.observers.runlog import RunLog


def test_a_full_disk_ends_the_log_and_not_the_run(caplog):
    log = RunLog(Path("/dev/full"))
    for _ in range(2):
        log.note("goal begun")
    log.close()
    assert [record.getMessage() for record in caplog.records] == [
        "the log /dev/full ends here, the run goes on: No space left on device"
    ]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_can_be_read_before_the_log_is_closed(tmp_path):
    log = RunLog(tmp_path / "new" / "events.jsonl")
    log.note("goal begun", 12.345678, index=3)
    (line,) = lines_of(log.path)
    assert (line["event"], line["monotonic_s"], line["index"]) == ("goal begun", 12.3457, 3)
    log.close()


def test_what_happened_earlier_has_its_own_time_of_day(tmp_path):
    log = RunLog(tmp_path / "events.jsonl")
    now = time.monotonic()
    for ago_s in (3600.0, 0.0):
        log.note("moved", now - ago_s)
    log.close()
    first, second = (datetime.fromisoformat(line["time"]) for line in lines_of(log.path))
    assert first.utcoffset() == timedelta(0)
    # To milliseconds, and only as far as nobody sets the clock meanwhile.
    assert (second - first).total_seconds() == pytest.approx(3600.0, abs=1.0)


def test_a_log_is_continued_and_never_overwritten(tmp_path):
    for event in ("first run", "second run"):
        log = RunLog(tmp_path / "events.jsonl")
        log.note(event)
        log.close()
    assert [line["event"] for line in lines_of(log.path)] == ["first run", "second run"]


def test_lines_of_many_threads_are_whole(tmp_path):
    log = RunLog(tmp_path / "events.jsonl")
    threads = [Thread(target=lambda: [log.note("x" * 5000) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert [line["event"] for line in lines_of(log.path)] == ["x" * 5000] * 200


def test_after_its_end_the_log_takes_events_without_complaint(tmp_path):
    log = RunLog(tmp_path / "events.jsonl")
    for _ in range(2):
        log.close()
    log.note("too late")
    assert lines_of(log.path) == []


def test_a_place_where_no_log_can_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "events.jsonl", tmp_path):
        with pytest.raises(DataError, match=r"cannot be written: .*; choose another folder"):
            RunLog(path)
