# SPDX-License-Identifier: Apache-2.0
"""wcs_agent_ssl both ways over real TLS."""
import pytest

from harness.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    files = authority.issue("127.0.0.1", "localhost")
    return {"ssl_certificate_file": files[0], "ssl_private_key_file": files[1]}


@pytest.fixture
def far(make_node, certificate):
    return make_node("B", wcs_agent_ssl=True, **certificate)


def link(node, name, secure=True, local=None):
    return {"uri": node.wss if secure else node.ws, "localStreamName": local or name, "remoteStreamName": name}


def test_push_and_pull_over_wss_with_an_own_authority(make_node, far, authority, certificate, aiortc, name):
    near = make_node("A", wcs_agent_ssl=True, wcs_agent_ca_file=authority.file, **certificate)
    aiortc.publish(near, name)
    assert near.rest("pull/push", link(far, name)).status == 200
    player = aiortc.play(far, name)
    player.wait_for_frames(10)
    assert near.rest("pull/pull", {"uri": far.wss.replace("127.0.0.1", "localhost") + "/websocket", "localStreamName": name + "-back",
                                   "remoteStreamName": name}).status == 200
    aiortc.play(near, name + "-back").wait_for_frames(10)


def test_an_unknown_authority_is_refused_and_said(make_node, far, aiortc, name):
    near = make_node("A", wcs_agent_ssl=True)
    aiortc.publish(near, name, fps=5)
    reply = near.rest("pull/push", link(far, name))
    assert reply.status == 500 and "certificate" in reply.reason.lower(), reply
    assert far.streams() == []


def test_a_self_signed_certificate_is_refused_unless_verification_is_off(make_node, aiortc, name):
    far = make_node("B", wcs_agent_ssl=True)
    strict, lax = make_node("A", wcs_agent_ssl=True), make_node("A2", wcs_agent_ssl=True, wcs_agent_verify_certificate=False)
    for node in (strict, lax):
        aiortc.publish(node, name, fps=5)
    reply = strict.rest("pull/push", link(far, name))
    assert reply.status == 500 and "certificate" in reply.reason.lower(), reply
    assert "wcs_agent_ca_file" in reply.reason or "wcs_agent_verify_certificate" in reply.reason, reply
    assert lax.rest("pull/push", link(far, name)).status == 200


def test_a_certificate_for_another_host_is_refused(make_node, authority, aiortc, name):
    certificate, key = authority.issue("elsewhere.example.org")
    far = make_node("B", wcs_agent_ssl=True, ssl_certificate_file=certificate, ssl_private_key_file=key)
    near = make_node("A", wcs_agent_ssl=True, wcs_agent_ca_file=authority.file)
    aiortc.publish(near, name, fps=5)
    assert near.rest("pull/push", link(far, name)).status == 500


def test_ws_is_refused_here_when_wss_is_wanted(make_node, far, aiortc, name):
    near = make_node("A", wcs_agent_ssl=True)
    aiortc.publish(near, name, fps=5)
    for method in ("push", "pull"):
        reply = near.rest(f"pull/{method}", link(far, name, secure=False, local=name if method == "push" else name + "-x"))
        assert reply.status == 400 and "wcs_agent_ssl" in reply.reason, reply


def test_ws_is_refused_by_the_far_side_when_it_wants_wss(make_node, far, aiortc, name):
    near = make_node("A")
    aiortc.publish(near, name, fps=5)
    reply = near.rest("pull/push", link(far, name, secure=False))
    assert reply.status == 500 and "wcs_agent_ssl" in reply.reason, reply
    # Browsers and other clients are not agents; plain ws stays open to them.
    assert aiortc.publish(far, name + "-client", fps=5).status["status"] == "PUBLISHING"


def test_wss_towards_a_port_without_tls_fails_with_words(make_node, aiortc, name):
    near, far = make_node("A", wcs_agent_ssl=True), make_node("B")
    aiortc.publish(near, name, fps=5)
    reply = near.rest("pull/push", {"uri": far.ws.replace("ws:", "wss:"), "localStreamName": name, "remoteStreamName": name})
    assert reply.status == 500 and reply.reason, reply
