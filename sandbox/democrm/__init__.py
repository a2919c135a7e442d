"""Fernhill, a small CRM for the sandbox. It uses only Postbraid's public API and its webhooks.

`python -m sandbox.democrm --port 7080 --app-url http://localhost:7071 --config FILE --clock-file FILE`; the
config is JSON `{"api_key", "webhook_secret", "data_dir"}`.

**Headless API** (all JSON; times are ISO 8601)

- `POST /api/messages`: send as a user. 202 the message; or the product's 4xx (502 for its faults) with
  `{message, problem}`. Fields: `user_id`; `contact_id` or `to` (an address, or people); `cc`; `subject` (a reply may
  leave it out); `html` or `text`; `thread_id` or `conversation_id` to reply there; `crm_message_id`;
  `attachments: [{name, content_type, content_base64}]`
- `POST /api/messages/{id}/retry`: sends the same request again, under the same `crm_message_id`
- `GET /api/messages/{id}`: one message; `id` is the CRM's (`m-…`) or the product's (`msg_…`)
- `GET /api/conversations`, `GET /api/conversations/{id}`: `{"conversations": […]}`; one with its `messages`
- `GET /api/contacts`, `POST /api/contacts` `{name, address}`: `{"contacts": […]}`; 201 the contact
- `GET /api/users`, `GET /api/connections`: the users; their connections by the latest webhooks
- `GET /api/events?after=N`: `{"events": […], "next": N}`, the events accepted by webhook or catch-up, each once
- `POST /api/session-links` `{user_id}`: 201 `{"url", "expires_at"}` of the product's settings page
- `POST /api/catch-up`: reads the product's `GET /v1/events` after its cursor; `{"applied": n}`
- `GET /api/version`: `{"version": "…"}`, a text that changes with every change

**Controls for tests** `GET /__control/state`, `GET /__control/events` (every webhook attempt with its answer),
`POST /__control/outage` `{"count": n, "status": 503, "retry_after_seconds"?}`, `POST /__control/reset`.

**Elements for tests** (`data-testid`)

- everywhere: `nav-conversations`, `nav-contacts`, `nav-activity`, `user-menu`, `menu-profile`, `switch-user` (with
  `data-user-id`), `connection-banner`
- conversations: `conversation-list`, `conversation` (with `data-conversation-id`), `new-message`
- one conversation: `thread`, `thread-subject`, `message` (with `data-message-id`, `data-direction`, `data-status`),
  `message-status`, `message-reason`, `message-waiting` (with `data-cause`), `message-body` (a frame), `message-retry`,
  `message-edit`, `attachment`, `attachment-omitted`, `reply-body`, `reply-files`, `reply-send`; instead of the form
  `composer-closed` with `composer-settings` or `thread-resume`; `thread-stop`, `thread-stopped`, `thread-problem`
- new message: `compose-to`, `compose-subject`, `compose-body`, `compose-files`, `compose-send`, `form-problem`,
  `compose-again`
- contacts: `contact` (with `data-contact-id`), `contact-write`
- profile: `provider-outlook`, `settings-frame`, `open-in-tab`, `connection-status`, `connection-address`,
  `connection-reason`, `connection-previous`
- activity: `event` (with `data-event-type`), `catch-up`
"""
