"""A service runs between start and stop, whatever happens in between."""

import pytest

from datasets.common.errors import DeviceError
from pipelines.twin.service import Service


class Told(Service):
    def __init__(self, starts: bool = True) -> None:
        self.starts, self.told = starts, list[str]()

    def start(self) -> None:
        if not self.starts:
            raise DeviceError("the port is taken")
        self.told.append("started")

    def stop(self) -> None:
        self.told.append("stopped")


def test_it_is_started_and_stopped_around_a_block() -> None:
    service = Told()
    with service as given:
        assert given is service
        assert service.told == ["started"]
    assert service.told == ["started", "stopped"]


def test_it_is_stopped_when_the_block_fails_and_the_failure_is_told() -> None:
    service = Told()
    with pytest.raises(ZeroDivisionError), service:
        _ = 1 / 0
    assert service.told == ["started", "stopped"]


def test_one_that_did_not_start_is_not_entered() -> None:
    service = Told(starts=False)
    with pytest.raises(DeviceError, match="the port is taken"), service:
        service.told.append("entered")
    assert service.told == []
