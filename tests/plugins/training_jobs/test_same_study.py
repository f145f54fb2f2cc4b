"""One study, wherever its trials run: the same leaderboard."""

from quick_runs import PLUGINS, quick_fit, surroundings

from seedbed import api


def test_a_study_has_the_same_leaderboard_here_in_workers_as_training_jobs_and_as_one(tmp_path):
    rehearsed = {"backend.sagemaker.rehearse": True}
    places = {
        "inline": {"backend": "inline"},
        "local": {"backend": "local"},
        "sagemaker": {"backend": "sagemaker", "fixed": rehearsed},
        "remote": {"backend": "sagemaker", "fixed": rehearsed | {"backend.sagemaker.remote": True}},
    }
    with surroundings(tmp_path / "home"):
        runs = {name: quick_fit(tmp_path / name, trials=3, threads=1, **place) for name, place in places.items()}
    boards = {name: what_counts(run) for name, run in runs.items()}
    assert boards["local"] == boards["inline"]
    assert boards["sagemaker"] == boards["inline"]
    assert boards["remote"] == boards["inline"]
    assert len(boards["inline"]) >= 4
    for each in ("local", "sagemaker", "remote"):
        assert runs[each].summary()["test"] == runs["inline"].summary()["test"]
    trained = [trial for trial in runs["sagemaker"].history if trial.role == "candidate" and not trial.ingredients]
    assert [len(trial.places) for trial in trained] == [1, 1, 1]
    assert all(trial.billed_seconds for trial in trained)
    assert runs["sagemaker"].summary()["billed_seconds"] == sum(trial.billed_seconds for trial in trained)
    assert runs["remote"].summary()["billed_seconds"] > 0
    assert runs["inline"].summary()["billed_seconds"] is None
    plugins = [str(PLUGINS / "quick.py")]
    with surroundings(tmp_path / "home"):
        assert api.replay(tmp_path / "remote", plugins=plugins, out=tmp_path / "again").differences == ()
        again = api.replay(tmp_path / "sagemaker", plugins=plugins, backend="inline", out=tmp_path / "again-here")
    assert again.differences == ()


def what_counts(run):
    names = ["rank", "trial", "status", "score", "corrected", "low", "high", "tie_group", "candidate"]
    return [tuple(getattr(row, name) for name in names) for row in run.leaderboard.rows]
