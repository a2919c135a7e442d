"""The functions of the app, written down once: a name or route that changes is a change that callers see."""

from __future__ import annotations

HTTP = {
    "confirm_connection": ("POST", "oauth/confirm"),
    "confirm_disconnecting": ("POST", "disconnect/confirm"),
    "create_disconnect_ticket": ("POST", "session/disconnect-tickets"),
    "create_session_link": ("POST", "v1/session-links"),
    "create_start_ticket": ("POST", "session/start-tickets"),
    "disconnect_user": ("DELETE", "v1/users/{user_id}/connection"),
    "download_file": ("GET", "files/{token}"),
    "end_session": ("DELETE", "session"),
    "finish_oauth": ("POST", "oauth/callback"),
    "health_live": ("GET HEAD", "health/live"),
    "health_ready": ("GET HEAD", "health/ready"),
    "list_dead_letters": ("GET", "v1/dead-letters"),
    "list_events": ("GET", "v1/events"),
    "list_held_messages": ("GET", "v1/held-messages"),
    "list_session_threads": ("GET", "session/threads"),
    "open_session": ("POST", "session"),
    "receive_lifecycle_notifications": ("POST", "graph/lifecycle/{secret}"),
    "receive_notifications": ("POST", "graph/notifications/{secret}"),
    "replay_all": ("POST", "v1/replays"),
    "replay_dead_letter": ("POST", "v1/dead-letters/{dead_letter_id}/replay"),
    "replay_held_message": ("POST", "v1/held-messages/{message_id}/replay"),
    "resume_session_thread": ("POST", "session/threads/{thread_id}/resume"),
    "resume_thread": ("POST", "v1/threads/{thread_id}/resume"),
    "send_message": ("POST", "v1/messages"),
    "serve_asset": ("GET", "assets/{name}"),
    "show_admin_consent_page": ("GET", "oauth/admin-consent"),
    "show_confirm_page": ("GET", "oauth/confirm"),
    "show_connection": ("GET", "v1/users/{user_id}/connection"),
    "show_dead_letter": ("GET", "v1/dead-letters/{dead_letter_id}"),
    "show_disconnect_page": ("POST", "disconnect/start"),
    "show_message": ("GET", "v1/messages/{message_id}"),
    "show_openapi": ("GET", "openapi.json"),
    "show_result": ("GET", "oauth/result"),
    "show_session_connection": ("GET", "session/connection"),
    "show_settings_page": ("GET", "settings"),
    "show_thread": ("GET", "v1/threads/{thread_id}"),
    "start_oauth": ("POST", "oauth/start"),
    "stop_session_thread": ("POST", "session/threads/{thread_id}/stop"),
    "stop_thread": ("POST", "v1/threads/{thread_id}/stop"),
    "upload_file": ("POST", "v1/files"),
}
QUEUES = {
    "work_maintenance": ("maintenance", "DataStorage"),
    "work_changes": ("changes", "DataStorage"),
    "work_deliveries": ("deliveries", "DataStorage"),
    "work_outbox": ("outbox", "DataStorage"),
}
TIMERS = {"renew_subscriptions": "0 */15 * * * *", "enqueue_due_work": "0 * * * * *"}


def described(bindings: list[dict[str, object]]) -> tuple[str, object]:
    """The kind of trigger, and what the tables above say of it, from a function's bindings as the host sees them."""
    (trigger,) = (binding for binding in bindings if str(binding["type"]).endswith("Trigger"))
    match trigger["type"]:
        case "httpTrigger":
            methods = trigger["methods"]
            assert isinstance(methods, list)
            assert trigger["authLevel"] == "ANONYMOUS"  # the boundary asks for credentials, in one place
            return "http", (" ".join(sorted(methods)), trigger["route"])
        case "queueTrigger":
            return "queue", (trigger["queueName"], trigger["connection"])
        case _:
            return "timer", trigger["schedule"]


def compare(functions: dict[str, list[dict[str, object]]]) -> None:
    """Assert that these functions are the ones written down."""
    found: dict[str, dict[str, object]] = {"http": {}, "queue": {}, "timer": {}}
    for name, bindings in functions.items():
        kind, description = described(bindings)
        found[kind][name] = description
    assert found == {"http": HTTP, "queue": QUEUES, "timer": TIMERS}
