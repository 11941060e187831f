"""Parameter files: ranges say what they hold, and whatever does not fit is one line with file and key."""

import math
from dataclasses import dataclass, field
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.common.config import Checked, Within, load_params, one_line, ranges
from datasets.common.errors import ConfigError

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
ends = st.tuples(numbers, numbers).map(sorted)


@dataclass(frozen=True)
class Inner(Checked):
    PART = "inner."

    share: Annotated[float, Within(0, 1)] = 0.5


@dataclass(frozen=True)
class Params(Checked):
    count: Annotated[int, Within(1)] = 3
    pair: Annotated[tuple[float, float], Within(0, 2, "s", rising=True)] = (0.0, 1.0)
    perhaps: Annotated[float, Within(0, above=True)] | None = None
    folder: str = "here"
    inner: Inner = field(default_factory=Inner)
    named: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Other:
    count: float = 0.5


@given(ends=ends, value=numbers, above=st.booleans(), below=st.booleans())
def test_a_range_holds_what_lies_between_its_ends(ends, value, above, below):
    low, high = ends
    held = (low < value if above else low <= value) and (value < high if below else value <= high)
    assert Within(low, high, above=above, below=below).holds(value) == held


@given(ends=ends, values=st.lists(numbers, min_size=1, max_size=4))
def test_a_tuple_is_held_where_each_of_its_numbers_is_and_they_rise(ends, values):
    each = all(Within(*ends).holds(value) for value in values)
    assert Within(*ends).holds(tuple(values)) == each
    assert Within(*ends, rising=True).holds(tuple(values)) == (each and values == sorted(values))


@pytest.mark.parametrize("within", [Within(), Within(0), Within(0, 1), Within(above=True, below=True)])
def test_what_is_no_number_lies_in_no_range(within):
    assert not within.holds(math.nan)
    assert not within.holds((1.0, math.nan))


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (Within(0), "must not be negative"),
        (Within(0, above=True), "must be positive"),
        (Within(2, unit="s"), "must be at least 2 s"),
        (Within(2, above=True), "must be above 2"),
        (Within(0, 2, "s"), "must lie in 0..2 s"),
        (Within(0, 2, above=True, below=True), "must lie in 0..2, above 0 and below 2"),
    ],
)
def test_a_range_is_told_in_words(within, words):
    assert str(within) == words


def test_ranges_are_found_by_name_inside_of_what_may_be_none_too():
    assert set(ranges(Params)) == {"count", "pair", "perhaps"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Params(count=0), r"count must be at least 1, got 0"),
        (
            lambda: Params(pair=(1.0, 0.5)),
            r"pair must lie in 0\.\.2 s, the first not above the second, got \[1\.0, 0\.5\]",
        ),
        (lambda: Params(perhaps=0.0), r"perhaps must be positive, got 0\.0"),
        (lambda: Inner(share=math.nan), r"inner\.share must lie in 0\.\.1, got nan"),
    ],
)
def test_the_first_value_out_of_its_range_is_named(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.fixture
def load(tmp_path):
    def load(text, kind=Params):
        (tmp_path / "some.yaml").write_text(text)
        return load_params(tmp_path / "some.yaml", kind)

    return load


def test_what_is_not_in_the_file_is_as_by_default(load):
    assert load("count: 7\ninner: {share: 0.25}") == Params(count=7, inner=Inner(0.25))


def test_a_file_that_is_read_again_shares_nothing_with_the_first_time(load):
    text = "named: {one: [1, 2]}\ninner: {share: 0.25}"
    first = load(text)
    first.named["one"].append(3)
    first.named["two"] = []
    assert load(text) == Params(named={"one": [1, 2]}, inner=Inner(0.25))
    assert load(text).inner is not load(text).inner


def test_a_file_that_has_changed_is_read_as_it_is_now(load):
    assert [load(f"count: {count}").count for count in (1, 2, 1)] == [1, 2, 1]
    assert isinstance(load("count: 1", Other), Other)


def test_a_place_below_the_home_folder_is_meant_as_such(load, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("folder: ~/models").folder == str(tmp_path / "models")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("counts: 7", "counts"),
        ("inner: {shares: 0.5}", "shares"),
        ("unknown: {}", "unknown"),
        ("inner: {nothing: {}}", "nothing"),
        ("count: many", "count"),
        ("count: 0", "count must be at least 1"),
        ("inner: {share: 2}", r"inner\.share"),
        ("- 1", "found list"),
        ("", "found NoneType"),
        ("count: [1", "not valid YAML"),
    ],
)
def test_what_does_not_fit_is_one_line_with_the_file_and_the_key(load, text, words):
    with pytest.raises(ConfigError, match=rf"some\.yaml: .*{words}") as refused:
        load(text)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "nothing.yaml", tmp_path):
        with pytest.raises(ConfigError, match="no such parameter file"):
            load_params(path, Params)


def test_a_message_of_several_lines_becomes_one():
    assert one_line(ValueError("one\n  two\tthree ")) == "one two three"
