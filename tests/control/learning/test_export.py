"""A trained actor as a file tells nothing but itself."""


def test_the_graph_tells_nothing_of_the_machine_it_was_made_on(folder):
    content = (folder / "actor.onnx").read_bytes()
    for trace in (b"site-packages", b".py", b"/home", b"/work"):
        assert trace not in content
