"""A moment of the task seen through images, photographed once more."""


def same_moment_again(env):
    """The picture seen last once more, with the same noise: the environment itself takes each but once."""
    env._scenes._pictures -= 1
    return env._scenes.camera(env._seen_tcp)
