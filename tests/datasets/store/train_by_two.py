"""A training by two processes on the frames of URL, for test_datamodule.py: prints its last metrics as JSON.

A program of its own, since the two are forked: torch refuses to train in the fork of a process whose autograd has
started threads, as other tests' has.
"""

import json
import sys

from test_datamodule import Recorder, trainer  # this folder is a script's first place to look

from datasets.store.datamodule import FramesDataModule


def main(url, folder):
    run = trainer(folder, max_epochs=2, devices=2, strategy="ddp_fork", enable_checkpointing=False)
    run.fit(Recorder(), FramesDataModule("glance", url, batch_size=8))
    print(json.dumps({name: float(value) for name, value in run.callback_metrics.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
