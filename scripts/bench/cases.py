"""What is measured: to add a case, add an entry (and its two scripts to benches/scripts)."""

import dataclasses

import settings
import target
import tools


@dataclasses.dataclass(frozen=True)
class Work:
    """What an iteration does.

    `script` is the name of a script of benches/scripts in both languages. `alike` is the case of wrk
    that does the same, if there is one; `k6` the work of k6.js; `counted` the metric of which the
    server counts the same.
    """

    name: str
    script: str
    url: str = target.URL
    alike: str | None = None
    k6: str | None = None
    counted: str = "http_reqs"


WORKS = [
    Work("GET", "bare", alike="wrk", k6="get"),
    Work("GET + check", "get", alike="wrk, check", k6="check"),
    Work("POST JSON", "post", k6="post"),
    Work("GET over HTTPS", "bare", url=target.SECURE_URL, alike="wrk, HTTPS", k6="get"),
]

# The work that stands for all where only one is measured.
PLAIN = WORKS[1]


@dataclasses.dataclass(frozen=True)
class Case:
    """A row of a table: a tool or a script, what it is run against, and its twin in wrk."""

    name: str
    runner: object
    url: str = target.URL
    alike: str | None = None


WRK = [
    Case("wrk", tools.WRK, alike="wrk"),
    Case("wrk, check", tools.CHECKING_WRK, alike="wrk, check"),
    Case("wrk, HTTPS", tools.WRK, url=target.SECURE_URL, alike="wrk, HTTPS"),
]


def kingtide(works=None, binary=settings.KINGTIDE, workers=1):
    """Returns the works in each language."""
    return [Case(f"{work.name}, {language}",
                 tools.Kingtide(work.script, language, binary, workers, work.counted), work.url, work.alike)
            for work in works or WORKS for language in settings.LANGUAGES]


def others():
    """Returns the plain GET of the other tools that are on the path, and all works of k6."""
    found = [Case(f"{tool.name}, GET", tool, alike="wrk") for tool in tools.peers() if tool.name != "k6"]
    if tools.there(tools.K6_WORKS["get"]):
        found += [Case(f"k6, {work.name}", tools.K6_WORKS[work.k6], work.url, work.alike)
                  for work in WORKS if work.k6]
    return found


def chosen(cases, always=("wrk",)):
    """Returns the cases that ONLY lets through, and those that others are compared with."""
    kept = [case for case in cases if settings.case_matches(case.name)]
    needed = {*always, *(case.alike for case in kept)}
    return [case for case in cases if case in kept or case.name in needed]
