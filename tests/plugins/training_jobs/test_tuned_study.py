"""A study handed over to a tuning job, from `fit` to the leaderboard: its jobs come home as trials."""

from quick_runs import quick_fit, surroundings

from seedbed.core.search.journal import read


def test_the_jobs_of_a_tuning_job_come_home_as_trials(tmp_path):
    with surroundings(tmp_path / "home"):
        run = quick_fit(
            tmp_path / "run",
            trials=3,
            threads=1,
            backend="sagemaker",
            strategy="sagemaker_tuning",
            use=["architecture:blur"],
            fixed={
                "backend.sagemaker.rehearse": True,
                "strategy.sagemaker_tuning.search": "Random",
                "strategy.sagemaker_tuning.parameters": "architecture.blur.*",
            },
        )
    trained = [trial for trial in run.history if trial.role == "candidate" and not trial.ingredients]
    assert [trial.status for trial in trained] == ["finished"] * 3, [trial.reason for trial in trained]
    assert [bool(trial.place) for trial in trained] == [False, True, True]
    assert len({trial.place for trial in trained}) == 3
    assert all(trial.billed_seconds for trial in trained)
    assert not run.history.findings or all(each.check != "model_lost" for each in run.history.findings)
    ranked = [row.trial for row in run.leaderboard.rows if row.rank is not None and row.role == "candidate"]
    assert {trial.number for trial in trained} <= set(ranked)
    assert read(run.folder / "journal.jsonl")
