import pytest
from fake_study import BASELINE, Counting, Scene, finished, look

from seedbed.core.errors import UsageError
from seedbed.core.search.budget import Budget
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal


@pytest.fixture
def scene(tmp_path):
    return lambda **parts: Scene(tmp_path, **parts)


class Waiting(Counting):
    """Has something to propose only from its third question on, and says until then that it waits."""

    def __init__(self):
        super().__init__(count=2)
        self.asked, self.met = 0, []

    def meet(self, backend):
        self.met.append(backend)

    def propose(self, history, rng):
        self.asked += 1
        return None if self.asked < 3 else super().propose(history, rng)

    def waits(self):
        return self.asked < 3


def test_a_study_goes_on_while_its_strategy_waits_though_nothing_runs(scene):
    found = scene(budget=Budget(trials=2), strategy=Waiting())
    found.run()
    assert [trial.status for trial in found.history] == ["finished", "finished"]
    assert found.strategy.met == [found.backend]


def test_a_strategy_that_waits_does_not_hold_up_the_end_of_the_time(scene):
    class ForEver(Waiting):
        def propose(self, history, rng):
            return None

        def waits(self):
            return True

    found = scene(budget=Budget(seconds=20.0), strategy=ForEver(), baselines=(BASELINE,))
    found.run()
    assert 15.0 < found.clock.at <= 21.0
    assert [trial.role for trial in found.history] == ["baseline"]


def test_a_strategy_that_cannot_work_with_the_backend_ends_the_run_with_its_own_words(scene):
    class Choosy(Counting):
        def meet(self, backend):
            raise UsageError("I need another backend.")

    with pytest.raises(UsageError, match="another backend"):
        scene(budget=Budget(trials=1), strategy=Choosy()).run()


def test_a_strategy_that_fails_to_meet_the_backend_has_no_more_say(scene):
    class Broken(Counting):
        def meet(self, backend):
            raise ZeroDivisionError

    found = scene(budget=Budget(trials=1), strategy=Broken(), baselines=(BASELINE,))
    found.run()
    assert [trial.role for trial in found.history] == ["baseline"]
    assert [each.check for each in found.history.findings] == ["strategy"]


def test_what_runs_a_trial_already_is_told_to_its_job_and_kept_for_a_resume(scene):
    class Handing(Counting):
        def propose(self, history, rng):
            if len(history):
                return None
            return Proposal(candidate=Candidate({"n": 3}), fidelity=Fidelity(epochs=1), place="child-1")

    def script(job, is_stopped):
        yield look(job)
        yield finished(job)

    found = scene(budget=Budget(trials=1), strategy=Handing(), script=script)
    found.run()
    assert found.backend.jobs[0].place == "child-1"
    assert found.history.trials[0].place == "child-1"
