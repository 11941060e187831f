"""The commands: training on real frames, packing, measuring; and what they refuse."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from datasets.store.store import FrameStore
from perception import baseline, evaluate, seeds, train
from perception.evaluation import package
from perception.networks.locator import Locator
from perception.training import interruption
from perception.training.regressor import Regressor

LOOKS = ["glance", "fovea", "base"]
FRAMES = {
    "shard_frames": 40,
    "splits": {
        "train": {"frames": 80, "seed": 1, "camera": {"envelope": {}}, "looks": LOOKS},
        "val": {"frames": 30, "seed": 2, "camera": {"envelope": {}, "rig_share": 0.5}, "looks": LOOKS},
        "nominal": {"frames": 30, "seed": 3, "camera": {}, "looks": ["glance"]},
    },
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real frames."""
    from datasets import generate

    folder = tmp_path_factory.mktemp("frames")
    config = folder / "frames.yaml"
    config.write_text(yaml.safe_dump(FRAMES))
    generate.main(["--config", str(config), "--out", str(folder / "store"), "--workers", "1"])
    return folder


def fit(store: Path, runs: Path, look: str, *more: str, backbone: str = "voting:8x1") -> Path:
    train.main(
        [
            "fit",
            f"--model.look={look}",
            f"--model.backbone={backbone}",
            f"--data.store={store / 'store'}",
            "--data.batch_size=16",
            f"--output={runs / look}",
            f"--curves={runs / 'curves'}",
            "--threads=1",
            "--trainer.max_epochs=2",
            "--trainer.enable_progress_bar=false",
            "--trainer.enable_model_summary=false",
            *more,
        ]
    )
    return runs / look


@pytest.fixture(scope="module")
def runs(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for look in LOOKS:
        fit(store, folder, look)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _each_look_is_exported_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same weights become the same graph, which test_export has; forty times would take minutes."""
    graphs, export = tmp_path_factory.mktemp("graphs"), package.export_look

    def export_once(locator: Locator, path: Path) -> None:
        weights = [tensor.numpy().tobytes() for tensor in locator.state_dict().values()]
        graph = graphs / hashlib.sha256(b"".join([repr(locator.settings).encode(), *weights])).hexdigest()
        if not graph.is_file():
            export(locator, graph)
        shutil.copyfile(graph, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "export_look", export_once)
        yield


def locate_params(store: Path, runs: Path, out: Path) -> Path:
    params = {
        "glance": str(runs / "glance"),
        "fovea": str(runs / "fovea"),
        "base": str(runs / "base"),
        "frames": str(store / "frames.yaml"),
        "calibration_split": "val",
        "splits": ["nominal"],
        "mapped_split": "nominal",
        "workers": 1,
        "bad_frames": 6,
        "estimator": str(out / "estimator"),
        "results": str(out / "results"),
    }
    path = out / "locate.yaml"
    path.write_text(yaml.safe_dump(params))
    return path


@pytest.mark.slow
def test_training_leaves_checkpoint_summary_and_curves(runs: Path) -> None:
    for look in LOOKS:
        assert (runs / look / "best.ckpt").is_file()
        assert json.loads((runs / look / "training.json").read_text())["steps"] == 10
        assert (runs / "curves" / f"{look}.csv").read_text().startswith("step,")
        assert (runs / "curves" / f"{look}.png").is_file()
    assert yaml.safe_load((runs / "glance" / "log" / "config.yaml").read_text())["model"]["look"] == "glance"


@pytest.mark.slow
def test_a_stopped_training_goes_on(store: Path, tmp_path: Path) -> None:
    fit(store, tmp_path, "glance", "--trainer.max_epochs=1")
    first = json.loads((tmp_path / "glance" / "training.json").read_text())
    fit(store, tmp_path, "glance", "--trainer.max_epochs=3", f"--ckpt_path={tmp_path / 'glance' / 'last.ckpt'}")
    summary = json.loads((tmp_path / "glance" / "training.json").read_text())
    assert summary["steps"] == 15
    assert summary["train_s"] > first["train_s"] > 0, "the time before the stop counts"
    rows = [line.split(",") for line in (tmp_path / "curves" / "glance.csv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows if row[2]] == ["4", "9", "14"], "so does what was measured then"


def weights(runs: Path) -> dict[str, torch.Tensor]:
    return torch.load(runs / "glance" / "last.ckpt", weights_only=True)["state_dict"]


def interrupted(monkeypatch: pytest.MonkeyPatch, store: Path, runs: Path, *more: str, at: int = 7) -> None:
    """Trains three epochs of five steps, and loses the process at one of the steps."""
    learn = Regressor.training_step

    def lost(regressor: Regressor, *given: Any) -> torch.Tensor:
        if regressor.global_step == at:
            raise RuntimeError("power cut")
        return learn(regressor, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Regressor, "training_step", lost)
        with pytest.raises(RuntimeError, match="power cut"):
            fit(store, runs, "glance", "--trainer.max_epochs=3", *more)


@pytest.mark.slow
def test_an_interrupted_training_ends_as_if_it_had_run_through(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(store, tmp_path / "whole", "glance", "--trainer.max_epochs=3")
    for at in (7, 12):
        interrupted(monkeypatch, store, tmp_path / "cut", at=at)
    fit(store, tmp_path / "cut", "glance", "--trainer.max_epochs=3")
    assert "goes on with the interrupted training after epoch 2 of 3" in capsys.readouterr().out
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    curves = [(tmp_path / runs / "curves" / "glance.csv").read_text() for runs in ("whole", "cut")]
    assert curves[0] == curves[1]
    assert json.loads((tmp_path / "cut" / "glance" / "training.json").read_text())["steps"] == 15


@pytest.mark.slow
@pytest.mark.parametrize("change", ["finished", "parameters", "frames", "code", "fresh", "cut short", "moved"])
def test_a_training_begins_anew_where_something_differs_from_the_interrupted_one(
    change: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if change == "finished":
        fit(store, tmp_path, "glance", "--trainer.max_epochs=3")
    else:
        interrupted(monkeypatch, store, tmp_path)
    if change == "moved":
        (tmp_path / "glance").rename(tmp_path / "elsewhere")
        tmp_path.joinpath("moved").mkdir()
        (tmp_path / "elsewhere").rename(tmp_path / "moved" / "glance")
        tmp_path = tmp_path / "moved"
    if change == "frames":
        attributes = FrameStore.__init__

        def drawn_again(self: FrameStore, url: str, split: str) -> None:
            attributes(self, url, split)
            self.attributes["stored_bytes"] = self.attributes["stored_bytes"] | {"tcp": 1}

        monkeypatch.setattr(FrameStore, "__init__", drawn_again)
    if change == "code":
        monkeypatch.setattr(interruption, "code_digest", lambda *modules: "another")
    if change == "cut short":
        (tmp_path / "glance" / "last.ckpt").write_bytes(b"PK")
    more = {"parameters": ["--model.learning_rate=0.001"], "fresh": ["--fresh"]}.get(change, [])
    fit(store, tmp_path, "glance", "--trainer.max_epochs=3", *more)
    said = capsys.readouterr().out
    assert "goes on" not in said
    assert ("begins anew" in said) == (change in ("parameters", "frames", "code", "cut short", "moved"))
    rows = (tmp_path / "curves" / "glance.csv").read_text().splitlines()[1:]
    assert len(rows) == len({row.split(",")[0] for row in rows}), "no row of the former training"
    assert json.loads((tmp_path / "glance" / "training.json").read_text())["steps"] == 15


@pytest.mark.slow
def test_a_training_begun_anew_does_not_go_on_with_the_one_before_it(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(store, tmp_path, "glance", "--trainer.max_epochs=3")
    interrupted(monkeypatch, store, tmp_path, "--fresh", at=2)  # before its first checkpoint
    fit(store, tmp_path, "glance", "--trainer.max_epochs=3")
    assert "goes on" not in capsys.readouterr().out
    rows = [line.split(",") for line in (tmp_path / "curves" / "glance.csv").read_text().splitlines()[1:]]
    assert [row[0] for row in rows if row[2]] == ["4", "9", "14"]


@pytest.mark.slow
def test_a_checkpoint_from_the_middle_of_an_epoch_is_not_gone_on_with(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    often = "--trainer.val_check_interval=2"
    interrupted(monkeypatch, store, tmp_path, often, at=8)
    fit(store, tmp_path, "glance", "--trainer.max_epochs=3", often)
    assert "begins anew, since the interrupted training left a checkpoint from the middle" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], zipfile])
def test_a_last_checkpoint_that_is_none_is_refused(
    content: Any, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(store, tmp_path, "glance", "--trainer.max_epochs=1")
    (tmp_path / "glance" / "training.json").unlink()
    last = tmp_path / "glance" / "last.ckpt"
    if content is zipfile:
        with zipfile.ZipFile(last, "w") as file:
            file.writestr("agent", "of another kind")
    else:
        torch.save(content, last)
    with pytest.raises(SystemExit):
        fit(store, tmp_path, "glance", "--trainer.max_epochs=1")
    assert "not a checkpoint with which a training could go on" in capsys.readouterr().err
    fit(store, tmp_path, "glance", "--trainer.max_epochs=1", "--fresh")


@pytest.mark.slow
def test_what_went_on_with_a_given_checkpoint_is_not_taken_for_a_whole_training(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(store, tmp_path, "glance", "--trainer.max_epochs=1")
    assert (tmp_path / "glance" / "training.json").is_file()
    interrupted(monkeypatch, store, tmp_path, f"--ckpt_path={tmp_path / 'glance' / 'last.ckpt'}", at=12)
    assert not (tmp_path / "glance" / "training.json").is_file(), "nor for a finished one"
    fit(store, tmp_path, "glance", "--trainer.max_epochs=3")
    assert "begins anew" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        fit(store, tmp_path, "glance", "--fresh", "--ckpt_path=last")


@pytest.mark.slow
def test_two_processes_train_one_look(store: Path, tmp_path: Path) -> None:
    options = {"model.look": "glance", "model.backbone": "voting:8x1", "data.store": store / "store"}
    options |= {"data.batch_size": 10, "output": tmp_path, "threads": 1, "trainer.max_epochs": 1}
    options |= {"trainer.accelerator": "cpu", "trainer.devices": 2, "trainer.strategy": "ddp"}
    arguments = [f"--{key}={value}" for key, value in options.items()]
    subprocess.run([sys.executable, "-m", "perception.train", "fit", *arguments], check=True, capture_output=True)
    summary = json.loads((tmp_path / "training.json").read_text())
    assert summary["steps"] == 80 // 2 // 10, "each process takes half of the frames"
    assert summary["val_median_mm"] > 0
    assert (tmp_path / "best.ckpt").is_file()


@pytest.fixture(scope="module")
def measured(store: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command leaves with one worker."""
    folder = tmp_path_factory.mktemp("measured")
    evaluate.main(["--config", str(locate_params(store, runs, folder))])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("where", ["local", "ray"])
def test_two_workers_measure_the_bytes_of_one(
    store: Path, runs: Path, measured: Path, tmp_path: Path, where: str
) -> None:
    pytest.importorskip("ray", reason="the project's extra 'ray' is not installed")
    evaluate.main(["--config", str(locate_params(store, runs, tmp_path)), "--workers", "2", "--backend", where])
    assert (tmp_path / "results/metrics.json").read_bytes() == (measured / "results/metrics.json").read_bytes()


@pytest.mark.slow
def test_the_pair_is_packed_calibrated_and_measured(measured: Path) -> None:
    metrics = json.loads((measured / "results" / "metrics.json").read_text())
    assert metrics["default"]["nominal"]["n"] == 30
    assert {"median_mm", "mean_mm", "p95_mm"} < set(metrics["default"]["nominal"])
    assert metrics["bad_frames"]["n"] == 6
    assert metrics["seed"] == 0
    assert metrics["train_s"] > 0
    for picture in ("errors.png", "error_map.png"):
        assert (measured / "results" / picture).stat().st_size > 1000
    assert sorted(path.name for path in measured.iterdir()) == ["estimator", "locate.yaml", "results"]


@pytest.mark.slow
def test_a_packed_estimator_is_measured_again_as_it_was(
    store: Path, measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(measured, tmp_path / "measured"))
    config = locate_params(store, tmp_path / "gone", folder)
    evaluate.main(["--config", str(config), "--packed"])
    for path in (each for part in ("estimator", "results") for each in (measured / part).iterdir()):
        assert (folder / path.relative_to(measured)).read_bytes() == path.read_bytes(), path
    (folder / "results" / "metrics.json").write_text("{}")
    with pytest.raises(SystemExit):
        evaluate.main(["--config", str(config), "--packed"])
    fails(capsys, "says nothing of the networks' training", "--packed")
    assert sorted(path.name for path in folder.iterdir()) == ["estimator", "locate.yaml", "results"]


@pytest.mark.slow
def test_a_baseline_is_measured_alone_and_stands_in_the_table(
    store: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = locate_params(store, runs, tmp_path)
    fit(store, tmp_path / "runs", "glance", "--model.channels=rgb", backbone="conv3")
    arguments = ["glance", "--config", str(config), "--store", str(store / "store"), "--runs", str(tmp_path / "runs")]
    baseline.main(arguments)
    evaluate.main(["--config", str(config), "--frames-per-split", "10"])
    metrics = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert metrics["baselines"]["glance"]["nominal"]["n"] == 30
    picture = (tmp_path / "results" / "baselines.png").read_bytes()
    assert len(picture) > 1000

    file = tmp_path / "results" / "baselines" / "glance.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"nominal": {"n": 1, "median_mm": 7.0, "p95_mm": 9.0}}))
    evaluate.main(["--config", str(config), "--compare"])
    compared = json.loads((tmp_path / "results" / "metrics.json").read_text())
    metrics["baselines"]["glance"]["nominal"] = {"n": 1, "median_mm": 7.0, "p95_mm": 9.0}
    assert compared == metrics
    assert (tmp_path / "results" / "baselines.png").read_bytes() != picture

    frames = yaml.safe_load((store / "frames.yaml").read_text())
    frames["splits"]["nominal"]["seed"] = 4
    (tmp_path / "frames.yaml").write_text(yaml.safe_dump(frames))
    other = yaml.safe_load(config.read_text()) | {"frames": str(tmp_path / "frames.yaml")}
    config.write_text(yaml.safe_dump(other))
    with pytest.raises(SystemExit):
        baseline.main(arguments)
    fails(capsys, "nominal", "seed", "dvc repro frames")
    with pytest.raises(SystemExit):
        evaluate.main(["--config", str(config), "--compare"])
    fails(capsys, "measured on other frames", "without --compare")
    assert json.loads((tmp_path / "results" / "metrics.json").read_text()) == compared
    evaluate.main(["--config", str(config), "--frames-per-split", "10"])
    metrics = json.loads((tmp_path / "results" / "metrics.json").read_text())
    assert "make baselines" in metrics["baselines"]["glance"]["reason"]
    (tmp_path / "results" / "metrics.json").write_text("{}")
    with pytest.raises(SystemExit):
        evaluate.main(["--config", str(config), "--compare"])
    fails(capsys, "not what perception.evaluate writes", "without --compare")


def seeds_arguments(store: Path, runs: Path, out: Path) -> list[str]:
    """Of the command that trains as the runs were trained."""
    arguments = ["--config", str(locate_params(store, runs, out)), "--runs", str(out / "seeds"), "--frames", "10"]
    for look in LOOKS:
        saved = yaml.safe_load((runs / look / "log" / "config.yaml").read_text())
        model = {key: saved["model"][key] for key in ("look", "backbone", "learning_rate")}
        settings = {"model": model, "data": {key: saved["data"][key] for key in ("store", "batch_size")}}
        trainer = {"max_epochs": 2, "enable_model_summary": False, "enable_progress_bar": False}
        (out / f"{look}.yaml").write_text(yaml.safe_dump(settings | {"trainer": trainer}))
        arguments += [f"--{look}", str(out / f"{look}.yaml")]
    return arguments


@pytest.fixture(scope="module")
def two_seeds(store: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """What the command leaves of a seed that is trained already and one that is not, and its arguments."""
    folder = tmp_path_factory.mktemp("seeds")
    arguments = ["--seeds", "0", "5", *seeds_arguments(store, runs, folder)]
    seeds.main(arguments)
    return folder, arguments


@pytest.mark.slow
def test_seeds_take_the_pair_at_hand_and_train_the_others(
    two_seeds: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, arguments = two_seeds
    table = json.loads((folder / "results" / "seeds.json").read_text())
    figures = table["default"]["nominal"]["median_mm"]
    assert table["seeds"] == [0, 5]
    assert [train["glance"]["seed"] for train in table["train"]] == [0, 5]
    assert figures["values"][0] != figures["values"][1]
    assert figures["mean"] == pytest.approx(sum(figures["values"]) / 2, abs=1e-3)
    assert figures["spread"] == pytest.approx(abs(figures["values"][0] - figures["values"][1]), abs=2e-3)
    assert not (folder / "seeds/0/glance").exists()

    evaluate.main(["--config", str(folder / "locate.yaml"), "--frames-per-split", "10"])
    metrics = json.loads((folder / "results" / "metrics.json").read_text())
    assert metrics["seeds"]["default"]["nominal"]["median_mm"] == figures

    monkeypatch.setattr(seeds, "train_look", None)
    seeds.main([*arguments, "--gather"])
    assert json.loads((folder / "results" / "seeds.json").read_text()) == table


@pytest.mark.slow
def test_a_look_trained_after_another_is_as_if_trained_alone(two_seeds: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder, _ = two_seeds
    options = {"config": folder / "fovea.yaml", "seed_everything": 5, "output": tmp_path / "alone", "threads": 1}
    command = [sys.executable, "-m", "perception.train", "fit", *(f"--{key}={value}" for key, value in options.items())]
    subprocess.run(command, check=True, capture_output=True)
    weights = [
        torch.load(training / "best.ckpt", weights_only=False)["state_dict"]
        for training in (tmp_path / "alone", folder / "seeds/5/fovea")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_a_seed_that_was_not_trained_is_not_measured(
    store: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        seeds.main(["--seeds", "5", "--gather", *seeds_arguments(store, runs, tmp_path)])
    assert stopped.value.code == 2
    fails(capsys, "seeds/5/glance/best.ckpt", "perception.train fit")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "1", "1"], "--seeds"),
        (["--seeds", "-1"], "--seeds"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--glance", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_arguments_of_the_seeds_are_named(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "frames.yaml").write_text(yaml.safe_dump(FRAMES))
    with pytest.raises(SystemExit) as stopped:
        seeds.main(["--config", str(locate_params(tmp_path, tmp_path, tmp_path)), "--runs", str(tmp_path), *arguments])
    assert stopped.value.code == 2
    fails(capsys, "error:", words)
    assert not (tmp_path / "results").exists()


def fails(capsys: pytest.CaptureFixture[str], *expected: str) -> None:
    error = capsys.readouterr().err.strip().splitlines()[-1]
    for words in expected:
        assert words in error


@pytest.mark.parametrize("key", ["--model.learning_rat=1", "--data.stor=x", "--trainer.max_epoch=1", "--outputs=x"])
def test_an_unknown_key_ends_training_with_one_line(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        train.main(["fit", "--model.look=glance", key])
    assert stopped.value.code == 2
    fails(capsys, "perception.train: error:", key.split("=")[0].lstrip("-").split(".")[-1])


def test_training_without_frames_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        fit(tmp_path, tmp_path, "glance")
    assert stopped.value.code == 2
    fails(capsys, "store", "datasets.generate")


def test_evaluation_without_training_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "frames.yaml").write_text(yaml.safe_dump(FRAMES))
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--config", str(locate_params(tmp_path, tmp_path, tmp_path))])
    assert stopped.value.code == 2
    fails(capsys, "best.ckpt", "perception.train fit")
    assert not (tmp_path / "estimator").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"calibration_split": "nominal"}, "calibration_split 'nominal' must not be one of the test splits"),
        ({"doubt_split": "nominal"}, "doubt_split 'nominal' must not be one of the test splits"),
        ({"doubt_split": "nowhere"}, "unknown split 'nowhere'"),
        ({"mapped_split": "elsewhere"}, "mapped_split"),
        ({"workers": 0}, "workers"),
        ({"splits": ["nowhere"], "mapped_split": "nowhere"}, "unknown split 'nowhere'"),
        ({"glans": "x"}, "glans"),
    ],
)
def test_bad_parameters_of_the_evaluation_are_named(
    change: dict, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "frames.yaml").write_text(yaml.safe_dump(FRAMES))
    path = locate_params(tmp_path, tmp_path, tmp_path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--config", str(path)])
    assert stopped.value.code == 2
    fails(capsys, words)


@pytest.mark.parametrize("split", ["val", "nominal"])
def test_a_split_that_is_fitted_or_mapped_needs_frames(
    split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = FRAMES["splits"] | {split: FRAMES["splits"][split] | {"frames": 0}}
    (tmp_path / "frames.yaml").write_text(yaml.safe_dump(FRAMES | {"splits": splits}))
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--config", str(locate_params(tmp_path, tmp_path, tmp_path))])
    assert stopped.value.code == 2
    fails(capsys, f"split {split}", "has no frames")
    assert not (tmp_path / "estimator").exists()
