"""Findings, and looks in processes of their own that end badly."""

import pytest

from pipelines.doctor import __main__ as doctor
from pipelines.doctor.finding import Broken, Finding, State, findings_of, look_apart, private


def test_a_look_apart_gives_the_last_line():
    assert look_apart(["-c", "print('noise'); print('{\"a\": 1}')"], 30) == {"a": 1}


@pytest.mark.parametrize(
    ("code", "timeout_s", "told"),
    [
        ("import os; os.kill(os.getpid(), 11)", 30, "SIGSEGV"),
        ("import signal; signal.pause()", 0.5, "did not finish within 0.5 s"),
        ("raise OSError('no driver')", 30, "OSError: no driver"),
        ("raise SystemExit(4)", 30, "exit code 4"),
    ],
)
def test_a_look_apart_that_ends_badly_says_how(code, timeout_s, told):
    with pytest.raises(Broken, match=told):
        look_apart(["-c", code], timeout_s)


def test_a_look_that_raises_is_a_fault_after_what_it_found():
    def look():
        yield Finding("one", State.OK, "good")
        raise RuntimeError("gone")

    one, fault = findings_of("thing", look, "mend it")
    assert one.state is State.OK
    assert (fault.item, fault.state, fault.found, fault.remedy) == (
        "thing",
        State.FAULT,
        "RuntimeError: gone",
        "mend it",
    )


@pytest.mark.parametrize("folder", ["/home/clara/x", "/Users/clara/x"])
def test_folders_of_other_users_are_shortened(folder):
    assert private(f"cannot open {folder}\nat all") == "cannot open ~/x at all"


def test_names_of_the_host_are_left_out_as_whole_words(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "ceres.lab.example")
    assert private("on ceres.lab.example, ceres and cereson") == "on HOST, HOST and cereson"


def test_ctrl_c_ends_the_page_without_a_traceback(monkeypatch, capsys):
    def looks():
        yield Finding("one", State.OK, "good")
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", lambda arm, gl: looks())
    monkeypatch.setenv("MUJOCO_GL", "egl")  # which main() changes
    with pytest.raises(SystemExit) as stopped:
        doctor.main([])
    assert stopped.value.code == 130
    out, err = capsys.readouterr()
    assert "one" in out
    assert err == "pipelines.doctor: interrupted\n"
