"""The own arm's shapes are found again by the fit, and its command refuses bad input."""

from dataclasses import replace

import pytest

from datasets.arm.model import menagerie_available
from datasets.arm.shapes import load_shapes
from datasets.arm_fitting.fit_shapes import fit_link, official_surfaces
from datasets.arm_fitting.fit_shapes import main as fit


@pytest.mark.skipif(menagerie_available() is not None, reason=str(menagerie_available()))
def test_fitting_finds_a_changed_dimension_again():
    lofts = load_shapes()["link7"]
    wrong = (replace(lofts[0], stations=[[-30.0, 0.0, 0.0, 33.0], [0.0]]), *lofts[1:])
    fitted, rms = fit_link(wrong, official_surfaces()["link7"], 4, lambda _: None)
    assert sorted(rms, reverse=True) == rms
    assert fitted[0].stations[0][3] == pytest.approx(lofts[0].stations[0][3], abs=0.3)
    assert fitted[0].stations[0][0] == pytest.approx(lofts[0].stations[0][0], abs=0.3)
    assert fitted[0].stations[0][1:3] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["link9"], "link9"), (["--rounds", "0"], "--rounds"), (["--shapes", "nowhere.yaml"], "nowhere.yaml")],
)
def test_the_fitting_command_refuses_bad_input_in_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        fit(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
