"""The alarms of ``deploy/alarms.yml``: Prometheus itself says when they go off, and when not.

A scene is a site of two nodes that does well, but for what happens on one of them; what is known of the database is the
same on both. The series are made up, by the names of the metrics that there are, and scraped each minute.
`promtool test rules` evaluates the rules of the file minute by minute; all alarms that go off in the end are looked at.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from tokens import operators, throttles
from tokens.service import refreshing

FILE = Path(__file__).parent.parent / "deploy" / "alarms.yml"
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"][0]["rules"]
END = 80
"""Minutes."""
COUNTED_HERE = operators, throttles, refreshing
"""Who is imported so that their metrics are there."""
UP, PURGED = "latchkey_database_up", "latchkey_purge_last_success_timestamp_seconds"

Scene = dict[str, str | None]
"""By series, what is scraped of it in `promtool`'s words; None: it is not there."""

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
)


def always(value: float) -> str:
    return f"{value}x{END}"


def grows(by: float) -> str:
    """By so much each minute."""
    return f"0+{by}x{END}"


def ago(minutes: int, value: str, before: str = "0") -> str:
    """Became ``value`` so long ago: a number, or ``_`` for nothing at all."""
    return f"{before}x{END - minutes - 1} {value}x{minutes}"


def named(name: str, **labels: str) -> str:
    said = ",".join(f"{label}={json.dumps(value)}" for label, value in sorted(labels.items()))
    return f"{name}{{{said}}}" if said else name


def event(kind: str) -> str:
    return named("latchkey_security_events_total", kind=kind)


def refreshed(outcome: str, cause: str = "") -> str:
    return named("latchkey_refreshes_total", outcome=outcome, cause=cause)


def revoked(reason: str) -> str:
    return named("latchkey_revocations_total", reason=reason)


def read_by(source: str) -> str:
    return named("latchkey_feed_reads_total", answered_by=source)


def throttled(rate: str) -> str:
    return named("latchkey_throttled_total", rate=rate)


def took(slow: float, of: float) -> Scene:
    """So many refreshes a minute, of which some take between half a second and one."""
    buckets = [series for series in at_start() if series.startswith("latchkey_refresh_seconds_bucket")]
    bounds = {series: float(series.split('"')[1]) for series in buckets}
    return {series: grows(of if bound > 0.5 else of - slow) for series, bound in bounds.items()}


def at_start() -> Scene:
    """Every series that a process has before anything has happened."""
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
NOTHING_OF_THE_DATABASE: Scene = {UP: ago(10, "0", "1"), PURGED: ago(10, "_")}


@promtool
@pytest.mark.parametrize(
    ("alarm", "of", "scene"),
    [
        ("", BY_DAY, {}),
        ("", AT_NIGHT, {}),
        ("database away", BY_DAY, NOTHING_OF_THE_DATABASE),
        ("", BY_DAY, {UP: ago(0, "0", "1")}),  # For one scrape.
        ("revocations unheard", BY_DAY, {"latchkey_feed_lag_seconds": ago(2, "45")}),
        ("", BY_DAY, {"latchkey_feed_lag_seconds": ago(2, "4")}),
        ("replica not used", BY_DAY, {read_by("replica"): always(7), read_by("primary"): grows(60)}),
        ("", BY_DAY, {read_by("replica"): None, read_by("primary"): grows(60)}),  # There is none.
        ("tokens used twice", BY_DAY, {event("reuse_detected"): ago(30, "5")}),
        ("", BY_DAY, {event("reuse_detected"): ago(30, "2")}),
        ("", BY_DAY, {event("reuse_detected"): ago(70, "5")}),  # More than an hour ago.
        ("answers are lost", BY_DAY, {refreshed("recovered"): grows(6)}),
        ("answers are lost", AT_NIGHT, {refreshed("recovered"): grows(1)}),  # All of them.
        ("", AT_NIGHT, {refreshed("rotated"): grows(0.5), refreshed("recovered"): ago(5, "1")}),  # One, of few.
        ("the database went back", BY_DAY, {refreshed("caught up"): ago(2, "1")}),
        ("", BY_DAY, {refreshed("caught up"): ago(20, "1")}),
        ("tokens of an unknown key", BY_DAY, {refreshed("refused", "unknown key"): ago(2, "50")}),
        ("", BY_DAY, {refreshed("refused", "unknown key"): ago(2, "5")}),
        ("forged with our key", BY_DAY, {refreshed("refused", "forged with a key of ours"): ago(40, "1")}),
        ("passwords are guessed", BY_DAY, {event("sign_in_failed"): grows(120)}),
        ("passwords are guessed", AT_NIGHT, {event("sign_in_failed"): grows(15)}),
        ("", BY_DAY, {event("sign_in_failed"): grows(12)}),  # The keyboards are new.
        ("", AT_NIGHT, {event("sign_in_failed"): grows(3)}),
        ("owners raise the alarm", BY_DAY, {event("alarm"): ago(30, "4")}),
        ("", BY_DAY, {event("alarm"): ago(30, "1")}),
        ("sessions end in masses", BY_DAY, {revoked("ended_by_command"): ago(5, "500")}),
        ("sessions end in masses", BY_DAY, {revoked("reuse_detected"): ago(5, "500")}),
        ("", BY_DAY, {revoked("signed_out"): ago(5, "500")}),  # Closing time.
        ("people come too often", BY_DAY, {throttled("sign_in_network"): grows(20)}),
        ("", BY_DAY, {throttled("sign_in_account"): grows(1), throttled("refresh_session"): grows(1)}),
        ("sign-ins turned away", BY_DAY, {"latchkey_hashings_refused_total": ago(2, "30")}),
        ("", BY_DAY, {"latchkey_hashings_refused_total": ago(2, "3")}),
        ("refreshes slow", BY_DAY, took(slow=2, of=60)),
        ("", BY_DAY, took(slow=0.1, of=60)),
        ("nothing is purged", BY_DAY, {PURGED: always(-2 * 86400)}),
        ("nothing is purged", BY_DAY, {PURGED: None}),  # It never was.
        ("", BY_DAY, {PURGED: always(-86400)}),
    ],
)
def test_an_alarm_goes_off_when_it_should_and_no_other_does(tmp_path, alarm, of, scene):
    everywhere = {name: values for name, values in scene.items() if name in (UP, PURGED) or values is None}
    series = scraped("a", at_start() | of | scene) | scraped("b", at_start() | of | everywhere)
    expected = [{"labels": f"{{alertname={json.dumps(alarm)}}}", "value": 1}] if alarm else []
    going_off = 'group by (alertname) (ALERTS{alertstate="firing"})'
    at_the_end = {"expr": going_off, "eval_time": f"{END}m", "exp_samples": expected}
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [at_the_end],
    }
    path = tmp_path / "scene.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": [test]}))
    run = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@promtool
def test_prometheus_takes_the_file():
    run = subprocess.run(["promtool", "check", "rules", FILE], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(RULES)} rules found" in run.stdout


def test_what_the_alarms_look_at_is_there_before_it_first_happens():
    """Prometheus takes what comes up with 1 for no increase: the first forgery would go unnoticed."""
    there = {*at_start(), UP, PURGED, read_by("replica")}
    for rule in RULES:
        selectors = re.findall(r'(latchkey_\w+)(?:\{(\w+)(=|!~)"([^"]*)"\})?', rule["expr"])
        assert selectors, rule["alert"]
        for name, label, how, value in selectors:
            found = [series for series in there if re.match(rf"{name}(\{{|$)", series)]
            assert found, (rule["alert"], name)
            for word in value.split("|") if how == "!~" else [value]:
                assert any(f"{label}={json.dumps(word)}" in series for series in found) or not label, (name, word)
