"""Pytest plugins of mutants.py: one records the lines that each test reaches, one picks tests."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

__all__ = ["Picked", "Reach"]


class Reach:
    """Records each test's time, and which tests reach each line of some sources.

    The lines of a shared fixture count for all tests that ask for the fixture.
    """

    def __init__(self, source: str, file: Path) -> None:
        self.file = file
        self.coverage = coverage.Coverage(data_file=None, source=[source], config_file=False)
        self.coverage.start()
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, list[str]] = {}
        self.failed: set[str] = set()
        self.context = ""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes which fixtures each test asks for."""
        for item in session.items:
            self.fixtures[item.nodeid] = ["@" + name for name in getattr(item, "fixturenames", ())]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Records one test."""
        self._switch(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef) -> Iterator[None]:
        """Records a shared fixture under its name."""
        outer = self.context
        if fixturedef.scope != "function":
            self._switch("@" + fixturedef.argname)
        result = yield
        self._switch(outer)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes tests that do not pass."""
        if report.outcome != "passed":
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Writes ``seconds`` (of a test) and ``tests`` (of a file and a line)."""
        self.coverage.stop()
        users = defaultdict(list)
        for test, names in self.fixtures.items():
            if test not in self.failed:
                for name in (test, *names):
                    users[name].append(test)
        data, tests = self.coverage.get_data(), {}
        for path in data.measured_files():
            lines = data.contexts_by_lineno(path).items()
            tests[path] = {
                n: sorted({t for name in names for t in users[name]}) for n, names in lines
            }
        seconds = {test: self.seconds[test] for test in users if test in self.seconds}
        self.file.write_text(json.dumps({"seconds": seconds, "tests": tests}))

    def _switch(self, context: str) -> None:
        self.context = context
        self.coverage.switch_context(context)


class Picked:
    """Runs some tests only, in their given order, and keeps the name of one that fails."""

    def __init__(self, tests: list[str]) -> None:
        self.rank = {test: rank for rank, test in enumerate(tests)}
        self.failed = "collection"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drops other tests and sorts."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.rank), key=lambda i: self.rank[i.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes the test that fails."""
        if report.failed:
            self.failed = report.nodeid
