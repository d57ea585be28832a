"""The alarms of ``deploy/alarms.yml``: Prometheus itself evaluates when each goes off, and when none does.

A scene is a site of two nodes that works well, except for one thing that happens on one of the nodes. What is known
about the database is the same on both. The samples are invented, under the names of the real metrics, and scraped once
a minute. `promtool test rules` evaluates the rules for every minute, and the test compares all alarms that are active
at the end.
"""

import json
import re
import shutil
import subprocess
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from tokens import monitoring
from tokens.service import refreshing, throttles

pytestmark = pytest.mark.long

FILE = Path(__file__).parent.parent / "deploy" / "alarms.yml"
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"][0]["rules"]
END = 80
"""The length of a scene in minutes."""
COUNTED_HERE = monitoring, throttles, refreshing
"""Modules that must be imported, because they register metrics."""
UP, PURGED = "latchkey_database_up", "latchkey_purge_last_success_timestamp_seconds"

Scene = dict[str, str | None]
"""The samples of each series in the notation of `promtool`. None: the series does not exist."""

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
)


def always(value: float) -> str:
    return f"{value}x{END}"


def grows(by: float) -> str:
    """Samples that grow by so much each minute."""
    return f"0+{by}x{END}"


def ago(minutes: int, value: str, before: str = "0") -> str:
    """Samples that became ``value`` so many minutes before the end. ``_`` stands for no sample."""
    return f"{before}x{END - minutes - 1} {value}x{minutes}"


def named(name: str, **labels: str) -> str:
    text = ",".join(f"{label}={json.dumps(value)}" for label, value in sorted(labels.items()))
    return f"{name}{{{text}}}" if text else name


def labelled(name: str, label: str, value: str) -> str:
    return named(f"latchkey_{name}_total", **{label: value})


event = partial(labelled, "security_events", "kind")
revoked = partial(labelled, "revocations", "reason")
read_by = partial(labelled, "feed_reads", "answered_by")
throttled = partial(labelled, "throttled", "rate")


def refreshed(outcome: str, cause: str = "") -> str:
    return named("latchkey_refreshes_total", outcome=outcome, cause=cause)


def took(slow: float, of: float) -> Scene:
    """So many refreshes a minute, of which ``slow`` take between half a second and one."""
    buckets = [series for series in at_start() if series.startswith("latchkey_refresh_seconds_bucket")]
    bounds = {series: float(series.split('"')[1]) for series in buckets}
    return {series: grows(of if bound > 0.5 else of - slow) for series, bound in bounds.items()}


@cache
def at_start() -> Scene:
    """Every series of a new process."""
    return {
        named(sample.name, **sample.labels): always(0)
        for family in REGISTRY.collect()
        if family.name.startswith("latchkey_")
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def scraped(node: str, scene: Scene) -> dict[str, str]:
    """The series of one node."""
    parts = [(*name.rstrip("}").partition("{"), values) for name, values in scene.items() if values is not None]
    return {f'{name}{{{labels}{labels and ","}node="{node}"}}': values for name, _, labels, values in parts}


AT_NIGHT: Scene = {UP: always(1), PURGED: always(0), read_by("replica"): always(0)}
BY_DAY: Scene = AT_NIGHT | {
    refreshed("rotated"): grows(60),
    refreshed("repeated"): grows(6),
    refreshed("recovered"): grows(0.5),
    refreshed("refused", "session ended"): grows(2),
    event("signed_in"): grows(6),
    event("sign_in_failed"): grows(1),
    revoked("signed_out"): grows(5),
    revoked("superseded"): grows(1),
    read_by("replica"): grows(60),
    read_by("primary"): grows(1),
    throttled("sign_in_account"): grows(0.1),
}
NO_DATABASE: Scene = {UP: ago(10, "0", "1"), PURGED: ago(10, "_")}
HASHINGS, LAG = "latchkey_hashings_refused_total", "latchkey_feed_lag_seconds"
SCENES: dict[str, tuple[str, Scene, Scene]] = {
    # the alarm that must go off, the usual load, what happens beside
    "nothing happens by day": ("", BY_DAY, {}),
    "nothing happens at night": ("", AT_NIGHT, {}),
    "no database for ten minutes": ("database away", BY_DAY, NO_DATABASE),
    "no database for one scrape": ("", BY_DAY, {UP: ago(0, "0", "1")}),
    "revocations 45 s late": ("revocations unheard", BY_DAY, {LAG: ago(2, "45")}),
    "revocations 4 s late": ("", BY_DAY, {LAG: ago(2, "4")}),
    "the primary is read": ("replica not used", BY_DAY, {read_by("replica"): always(7), read_by("primary"): grows(60)}),
    "there is no replica": ("", BY_DAY, {read_by("replica"): None, read_by("primary"): grows(60)}),
    "five reused tokens": ("tokens used twice", BY_DAY, {event("reuse_detected"): ago(30, "5")}),
    "two reused tokens": ("", BY_DAY, {event("reuse_detected"): ago(30, "2")}),
    "five reused tokens more than an hour ago": ("", BY_DAY, {event("reuse_detected"): ago(70, "5")}),
    "many recoveries": ("answers are lost", BY_DAY, {refreshed("recovered"): grows(6)}),
    "all refreshes are recoveries": ("answers are lost", AT_NIGHT, {refreshed("recovered"): grows(1)}),
    "one recovery among few": ("", AT_NIGHT, {refreshed("rotated"): grows(0.5), refreshed("recovered"): ago(5, "1")}),
    "a session was caught up": ("the database went back", BY_DAY, {refreshed("caught up"): ago(2, "1")}),
    "a session was caught up 20 minutes ago": ("", BY_DAY, {refreshed("caught up"): ago(20, "1")}),
    "many unknown keys": ("tokens of an unknown key", BY_DAY, {refreshed("refused", "unknown key"): ago(2, "50")}),
    "few unknown keys": ("", BY_DAY, {refreshed("refused", "unknown key"): ago(2, "5")}),
    "a forged token": (
        "forged with our key",
        BY_DAY,
        {refreshed("refused", "forged with a key of ours"): ago(40, "1")},
    ),
    "many wrong passwords by day": ("passwords are guessed", BY_DAY, {event("sign_in_failed"): grows(120)}),
    "many wrong passwords at night": ("passwords are guessed", AT_NIGHT, {event("sign_in_failed"): grows(15)}),
    "twice as many wrong passwords as sign-ins": ("", BY_DAY, {event("sign_in_failed"): grows(12)}),
    "few wrong passwords at night": ("", AT_NIGHT, {event("sign_in_failed"): grows(3)}),
    "four users raise the alarm": ("owners raise the alarm", BY_DAY, {event("alarm"): ago(30, "4")}),
    "one user raises the alarm": ("", BY_DAY, {event("alarm"): ago(30, "1")}),
    "a command ends sessions": ("sessions end in masses", BY_DAY, {revoked("ended_by_command"): ago(5, "500")}),
    "reuse ends sessions": ("sessions end in masses", BY_DAY, {revoked("reuse_detected"): ago(5, "500")}),
    "many users sign out": ("", BY_DAY, {revoked("signed_out"): ago(5, "500")}),
    "many throttled sign-ins": ("people come too often", BY_DAY, {throttled("sign_in_network"): grows(20)}),
    "few throttled requests": (
        "",
        BY_DAY,
        {throttled(name): grows(1) for name in ("sign_in_account", "refresh_session")},
    ),
    "many refused hashings": ("sign-ins turned away", BY_DAY, {HASHINGS: ago(2, "30")}),
    "few refused hashings": ("", BY_DAY, {HASHINGS: ago(2, "3")}),
    "slow refreshes": ("refreshes slow", BY_DAY, took(slow=2, of=60)),
    "hardly any slow refreshes": ("", BY_DAY, took(slow=0.1, of=60)),
    "no purge for two days": ("nothing is purged", BY_DAY, {PURGED: always(-2 * 86400)}),
    "no purge ever": ("nothing is purged", BY_DAY, {PURGED: None}),
    "no purge for one day": ("", BY_DAY, {PURGED: always(-86400)}),
}


def evaluated(name: str, alarm: str, of: Scene, scene: Scene) -> dict[str, Any]:
    """Return the test of a scene, as `promtool` reads it. Its name is a comment, which is printed if the test fails."""
    everywhere = {name: values for name, values in scene.items() if name in (UP, PURGED) or values is None}
    series = scraped("a", at_start() | of | scene) | scraped("b", at_start() | of | everywhere)
    expected = [{"labels": f"{{alertname={json.dumps(alarm)}}}", "value": 1}] if alarm else []
    going_off = 'group by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": f"{going_off} # {name}", "eval_time": f"{END}m", "exp_samples": expected}],
    }


@promtool
def test_exactly_the_expected_alarm_goes_off_in_each_scene(tmp_path):
    path = tmp_path / "scenes.yml"
    tests = [evaluated(name, *scene) for name, scene in SCENES.items()]
    path.write_text(json.dumps({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": tests}))
    run = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@promtool
def test_prometheus_accepts_the_file():
    run = subprocess.run(["promtool", "check", "rules", FILE], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(RULES)} rules found" in run.stdout


def test_every_series_in_a_rule_exists_from_the_start():
    """Prometheus sees no increase in a series whose first sample is 1, so the first event would go unnoticed."""
    existing = {*at_start(), UP, PURGED, read_by("replica")}
    for rule in RULES:
        selectors = re.findall(r'(latchkey_\w+)(?:\{(\w+)(=|!~)"([^"]*)"\})?', rule["expr"])
        assert selectors, rule["alert"]
        for name, label, how, value in selectors:
            found = [series for series in existing if re.match(rf"{name}(\{{|$)", series)]
            assert found, (rule["alert"], name)
            for word in value.split("|") if how == "!~" else [value]:
                assert any(f"{label}={json.dumps(word)}" in series for series in found) or not label, (name, word)
