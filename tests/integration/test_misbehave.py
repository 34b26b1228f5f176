"""A plugin that does wrong, through the whole daemon: it hurts its own operations, and nothing else."""

import time

import pytest

from harness import SLOWER, TEST_PLUGINS, check, wait_until


def config(plugin, how=None):
    options = f", options: {{how: {how}}}" if how else ""
    return f"state_dir: /tmp/none\nbackends:\n  bad: {{plugin: {TEST_PLUGINS}/{plugin}.so{options}}}\n"


# ---- what the loader refuses, each in a sentence of its own

REFUSED = ["wrong_magic", "wrong_major", "newer_host", "no_list", "no_stream_ready", "no_symbol", "too_small",
           "long_name", "no_ops", "function", "undefined", "bad_spec", "bad_health_path", "changes_itself", "short_ops"]


def test_each_is_refused_with_a_sentence_of_its_own():
    sentences = set()
    for plugin in REFUSED:
        code, said, _ = check(config(plugin))
        assert code == 1 and said.startswith("sandboxd.yaml:3:9: backends.bad.plugin: "), f"{plugin}: {said}"
        sentences.add(said.replace(plugin, "NAME"))
    # A table of operations that is not there and one that is too short for its size are one sentence.
    assert len(sentences) >= len(REFUSED) - 1, "\n".join(sorted(sentences))


@pytest.mark.parametrize("plugin", ["abi_1_0", "variant_1", "trivial"])
def test_good_ones_are_taken(plugin):
    code, said, _ = check(config(plugin))
    assert code == 0, said


def test_validate_names_the_place_and_bad_bytes_do_not_get_through():
    code, said, _ = check(config("misbehave", "refuse"))
    assert code == 1 and "backends.bad.options.how: must be something else" in said
    code, said, _ = check(config("misbehave", "refuse_deep"))
    assert code == 1 and "backends.bad.options.list[1].mode: must be ro or rw" in said and "\x01" not in said
    code, said, _ = check(config("misbehave", "refuse_silently"))
    assert code == 1 and "backends.bad" in said
    code, said, _ = check(config("misbehave", "warn"))
    assert code == 0 and "warning" in said


# ---- what goes wrong at run time

@pytest.fixture
def misbehaving(make_daemon):
    """A daemon with a good backend, which is the default, and a bad one."""
    def make(how, **more):
        daemon = make_daemon()
        daemon.config["backends"]["bad"] = {
            "plugin": str(TEST_PLUGINS / "misbehave.so"), "health_check_path": None, "startup_timeout": "1s",
            "max_sandboxes": 100, "options": {"how": how}, **more}
        daemon.config["default_backend"] = "local"
        daemon.add_spec("bad", backend="bad")
        daemon.write()
        return daemon
    return make


def unhurt(daemon):
    """The good backend does all that it should."""
    sandbox = daemon.start_sandbox("agent")
    daemon.act("pause", sandbox["id"])
    daemon.act("resume", sandbox["id"])
    daemon.remove_sandbox(sandbox["id"])
    assert daemon.get("/health").status == 200


NONSENSE = ["unknown_state", "long_detail", "bad_utf8", "bad_id", "null_id", "no_size", "bad_url", "bad_port",
            "null_urls", "bad_exit_code", "many_urls"]


@pytest.mark.parametrize("how", NONSENSE)
def test_nonsense_that_is_reported_is_refused(misbehaving, how):
    daemon = misbehaving(how).start()
    response = daemon.post("/api/v1/sandboxes?sandbox_spec_id=bad&wait=1s")
    assert response.status in (200, 500, 502, 504), response
    for sandbox in daemon.everything():
        assert sandbox["status"] in ("STARTING", "ERROR", "RUNNING", "MISSING"), sandbox
        assert sandbox["status"] != "RUNNING" or how == "bad_utf8", f"nonsense changed something: {sandbox}"
        assert len(sandbox["status_detail"] or "") < 4097
    assert any("warn" in line and "bad" in line for line in daemon.log().splitlines()), daemon.log()
    unhurt(daemon)


@pytest.mark.parametrize("how", ["complete_twice", "complete_bogus", "wrong_thread", "report_in_open",
                                 "cancel_completes_twice", "none"])
def test_what_is_ignored_leaves_a_running_sandbox(misbehaving, how):
    daemon = misbehaving(how).start()
    sandbox = daemon.start_sandbox("bad", wait="1s")
    assert sandbox["backend"] == "bad"
    daemon.remove_sandbox(sandbox["id"])
    unhurt(daemon)


def test_a_flood_of_reports_is_cut_off_and_others_are_served(misbehaving):
    begun = time.monotonic()
    daemon = misbehaving("flood").start()
    unhurt(daemon)
    assert len(daemon.get("/api/v1/sandboxes/search").json()["items"]) == 100
    assert "too many" in daemon.log()
    # One each second is let through, beside those that are at first.
    assert daemon.log().count("too many") < 20 + time.monotonic() - begun, "one line a fact, not one a report"
    wait_until(lambda: not daemon.processes(), what="the good sandbox's end")
    daemon.kill()  # thousands that were adopted are not deleted one by one


@pytest.mark.parametrize("how", ["garbage_error", "empty_error", "cancelled_unasked"])
def test_a_garbled_failure_is_a_failure(misbehaving, how):
    daemon = misbehaving(how).start()
    response = daemon.post("/api/v1/sandboxes?sandbox_spec_id=bad&wait=1s")
    if response.status == 200:
        assert response.json()["status"] == "ERROR"
        error = response.json()["error"]
    else:
        assert response.status >= 500
        error = response.json()["error"]
    assert error["code"] and error["message"] and len(error["message"]) < 473
    unhurt(daemon)


@pytest.mark.parametrize("how", ["never_complete", "complete_on_cancel", "complete_late"])
def test_an_operation_that_does_not_end_is_given_up(misbehaving, how):
    daemon = misbehaving(how).start()
    begun = time.monotonic()
    response = daemon.post("/api/v1/sandboxes?sandbox_spec_id=bad&wait=1s")
    assert time.monotonic() - begun < 15 * SLOWER
    assert response.status in (200, 504), response
    if response.status == 504:
        assert response.json()["error"]["code"] == "BACKEND_TIMEOUT"
    for sandbox in daemon.everything():
        daemon.remove_sandbox(sandbox["id"])
        assert daemon.sandbox(sandbox["id"]) is None, "gone from every read at once"
    unhurt(daemon)
    wait_until(lambda: not daemon.processes(), what="the good sandbox's end")
    daemon.kill()  # its removals do not end either, and an end in good order would wait for them


def test_an_unclean_error_is_cleaned(misbehaving):
    daemon = misbehaving("unclean_report").start()
    sandbox = daemon.post("/api/v1/sandboxes?sandbox_spec_id=bad&wait=1s").json()
    error = sandbox["error"]
    assert error["exit_code"] == 3 and error["code"] and len(error["message"]) < 473
    assert error["log_tail"].startswith("half a character: ")


@pytest.mark.parametrize("how", ["logs_never_end", "write_after_stop", "write_too_much", "write_bogus"])
def test_streams(misbehaving, how):
    daemon = misbehaving(how).start()
    sandbox = daemon.start_sandbox("bad", wait="1s")
    before = daemon.status("VmRSS")
    with daemon.client() as client:
        client.connection.request("GET", f"/api/v1/sandboxes/{sandbox['id']}/logs")
        if how != "logs_never_end":
            response = client.connection.getresponse()
            assert response.status in (200, 500, 502)
            try:
                response.read()
            except OSError:
                pass  # broken off
            except Exception as problem:  # http.client.IncompleteRead
                assert "IncompleteRead" in repr(problem)
    assert daemon.status("VmRSS") - before < 64 * 1024
    unhurt(daemon)


@pytest.mark.parametrize("how", ["bad", "large_result"])
def test_a_description_that_is_nonsense(misbehaving, how):
    daemon = misbehaving(how).start()
    backends = {b["name"]: b for b in daemon.get("/api/v1/backends").json()}
    assert backends["bad"]["version"] == "1.0" and backends["local"]["version"]


def test_a_backend_that_fails_to_open_is_no_start(misbehaving):
    daemon = misbehaving("fail_open")
    daemon.spawn()
    assert daemon.process.wait(20) == 1
    assert "licence" in daemon.log() and "bad" in daemon.log()


def test_a_backend_that_never_opens_is_no_start_or_no_new_generation(misbehaving):
    daemon = misbehaving("open_late").start()
    daemon.config["backends"]["bad"]["options"]["how"] = "never_open"
    daemon.write()
    unhurt_before = daemon.start_sandbox("agent")
    begin = daemon.log_file.stat().st_size
    daemon.process.send_signal(1)
    # The time that it gets is the daemon's to choose; meanwhile the old generation serves.
    for _ in range(3):
        unhurt(daemon)
    daemon.wait_log("configuration not changed", begin, timeout=120)
    assert daemon.sandbox(unhurt_before["id"])["status"] == "RUNNING"


@pytest.mark.parametrize("how", ["leave_open", "post_in_close", "report_in_quiesce"])
def test_what_it_leaves_open_is_ended_by_the_host(misbehaving, how):
    daemon = misbehaving(how).start()
    daemon.start_sandbox("bad", wait="1s")
    descriptors = daemon.descriptors()
    for i in range(5):
        daemon.config["backends"]["bad"]["options"]["round"] = i
        daemon.write()
        daemon.reload()
    unhurt(daemon)
    wait_until(lambda: daemon.descriptors() <= descriptors + 2, what="its descriptors to be closed")


def test_an_instance_with_an_operation_that_never_ends_stays_and_others_go_on(misbehaving):
    daemon = misbehaving("stuck").start()
    sandbox = daemon.start_sandbox("bad", wait="1s")
    daemon.act("pause", sandbox["id"])
    daemon.wait_status(sandbox["id"], "PAUSED")
    with daemon.client(timeout=30) as client:
        client.connection.request("POST", f"/api/v1/sandboxes/{sandbox['id']}/resume")
        daemon.config["backends"]["bad"]["options"]["how"] = "none"
        daemon.write()
        daemon.reload()
        unhurt(daemon)
    assert daemon.get("/api/v1/backends").status == 200
    wait_until(lambda: not daemon.processes(), what="the good sandbox's end")
    daemon.kill()
