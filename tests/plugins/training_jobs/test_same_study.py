"""One study, wherever its trials run: the same leaderboard."""

from quick_runs import quick_fit, surroundings


def test_a_study_has_the_same_leaderboard_here_in_workers_and_as_training_jobs(tmp_path):
    with surroundings(tmp_path / "home"):
        runs = {
            backend: quick_fit(tmp_path / backend, trials=3, threads=1, backend=backend, fixed=fixed)
            for backend, fixed in (("inline", {}), ("local", {}), ("sagemaker", {"backend.sagemaker.rehearse": True}))
        }
    boards = {name: what_counts(run) for name, run in runs.items()}
    assert boards["local"] == boards["inline"]
    assert boards["sagemaker"] == boards["inline"]
    assert len(boards["inline"]) >= 4
    assert runs["sagemaker"].summary()["test"] == runs["inline"].summary()["test"]
    trained = [trial for trial in runs["sagemaker"].history if trial.role == "candidate" and not trial.ingredients]
    assert [len(trial.places) for trial in trained] == [1, 1, 1]
    assert all(trial.billed_seconds for trial in trained)
    assert runs["sagemaker"].summary()["billed_seconds"] == sum(trial.billed_seconds for trial in trained)
    assert runs["inline"].summary()["billed_seconds"] is None


def what_counts(run):
    names = ["rank", "trial", "status", "score", "corrected", "low", "high", "tie_group", "candidate"]
    return [tuple(getattr(row, name) for name in names) for row in run.leaderboard.rows]
