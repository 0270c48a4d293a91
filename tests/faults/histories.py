"""Whole histories of a daemon inside this process, with crashes and restarts anywhere in them, by seed."""

import logging
import traceback

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.faults.under_load import Options, Row
from tests.stitcherd.jobs.test_histories import Histories

HISTORIES = 50
STEPS = 40  # of each


class Counted(Histories):
    """Histories of which the steps and the acknowledged deliveries are counted, over all of them."""

    steps = 0
    acknowledged = 0

    @invariant()
    def every_promise_holds(self) -> None:
        super().every_promise_holds()
        Counted.steps += 1

    def teardown(self) -> None:
        Counted.acknowledged += sum(sent.answer is not None for sent in self.promises.sent)
        super().teardown()


def histories(options: Options) -> list[Row]:
    """Try histories until one breaks a promise: the notes then are the steps that lead there."""
    Counted.steps = Counted.acknowledged = 0
    logging.disable(logging.CRITICAL)
    row = Row("steps of histories", 0)
    try:
        run_state_machine_as_test(
            seed(options.seed)(Counted),
            settings=settings(
                max_examples=options.times(HISTORIES),
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=False,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception as error:  # noqa: BLE001 (whatever it is, a promise is broken)
        said = [*traceback.format_exception_only(error), *getattr(error, "__notes__", ())]
        row = Row("steps of histories", 0, by_hand=1, notes=["".join(said)])
    finally:
        logging.disable(logging.NOTSET)
    row.times, row.acknowledged = Counted.steps, Counted.acknowledged
    return [row]
