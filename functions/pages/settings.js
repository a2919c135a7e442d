// The settings page: exchange the link's token, show the connection, lead to Microsoft in a window of its own.
"use strict";

const WORDS = {
  connected: "Connected",
  degraded: "Connected, with delays",
  reconnect_required: "Sign-in needed",
  disconnected: "Not connected",
  not_connected: "Not connected",
};
const CANNOT_SIGN_IN = "Microsoft's sign-in cannot be opened now. Try again in a minute.";
const CANNOT_DISCONNECT = "The window that asks cannot be opened now. Try again in a minute.";
const UNCHANGED = "Nothing was changed.";
const FAILURES = {
  cancelled: `The sign-in was cancelled. ${UNCHANGED}`,
  abandoned: `The sign-in was not finished. ${UNCHANGED}`,
  admin_consent_required: `Your organisation lets only administrators approve this. Ask yours, then connect again. ${UNCHANGED}`,
  organisation_not_allowed: `Mailboxes of this organisation cannot be connected here. ${UNCHANGED}`,
  scopes_missing: `Not everything was approved that the sync needs. Connect again and approve all of it. ${UNCHANGED}`,
  mailbox_taken: `This mailbox cannot be connected here. ${UNCHANGED}`,
  no_mailbox: `Microsoft offers no mailbox for this account that a program may use. ${UNCHANGED}`,
  failed: `The sign-in did not complete. ${UNCHANGED} Try again in a minute.`,
};
const POLL_MS = 1500;
const WAIT_FOR_MS = 10 * 60 * 1000; // as long as a sign-in under way is kept

let linkToken = "";
let session = "";
let known = null;
let waiting = null; // {for, before, until} while the other window is open

class Problem extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

// JSON over our own API. The session's token lives in this page's memory only: no other site can send it.
async function call(method, path, body) {
  const headers = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  if (session) headers.authorization = `Bearer ${session}`;
  const response = await fetch(`/api/${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
  });
  if (!response.ok) throw new Problem(response.status);
  return response.json();
}

function show(view) {
  const left = document.activeElement.closest("[data-view]");
  document.body.dataset.state = view;
  for (const section of document.querySelectorAll("[data-view]")) {
    section.hidden = section.dataset.view !== view;
    if (!section.hidden && left && left !== section) stepInto(section);
  }
}

// Whoever pressed a button that is hidden now goes on in what took its place, not at the top of the page.
function stepInto(section) {
  section.tabIndex = -1;
  section.focus();
}

function fill(name, text) {
  for (const slot of document.querySelectorAll(`[data-fill="${name}"]`)) slot.textContent = text;
}

function notice(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.hidden = !text;
}

function showNames(user, tenant) {
  document.getElementById("whose").textContent = [user, tenant].filter(Boolean).join(" · ");
  if (tenant) fill("tenant", tenant);
}

function showConnection() {
  const status = known.status in WORDS ? known.status : "not_connected";
  const chip = document.getElementById("chip");
  chip.textContent = WORDS[status];
  chip.dataset.status = status;
  chip.hidden = false;
  showNames(known.crm_user.display_name, known.tenant.name);
  fill("address", known.mailbox ? known.mailbox.address : "");
  fill("since", known.connected_at ? day(known.connected_at) : "");
  show(waiting ? waiting.for : status);
}

function day(text) {
  return new Date(text).toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
}

async function look() {
  known = await call("GET", "session/connection");
  if (waiting && isDone(waiting, known)) {
    waiting = null;
    notice("");
  } else if (waiting && failure(waiting, known.sign_in)) {
    stop(failure(waiting, known.sign_in));
    return;
  }
  showConnection();
}

// What the person reads here as soon as the other window has come to nothing; empty while it has not.
function failure(waited, signIn) {
  const isOfThisWindow = waited.for === "connecting" && signIn && !isSameSignIn(waited.before.sign_in, signIn);
  return isOfThisWindow ? FAILURES[signIn.outcome] || "" : "";
}

function isSameSignIn(before, now) {
  return Boolean(before) && before.at === now.at && before.outcome === now.outcome;
}

function isDone(waited, now) {
  if (waited.for === "connecting") {
    const confirmed = now.sign_in && now.sign_in.outcome === "confirmed" && !isSameSignIn(waited.before.sign_in, now.sign_in);
    return confirmed || isNewConnection(waited.before, now);
  }
  return now.status === "disconnected" || now.status === "not_connected";
}

// Connected in the other window: either it was not connected before, or this is another consent.
function isNewConnection(before, now) {
  if (now.status !== "connected" && now.status !== "degraded") return false;
  const was = before.status === "connected" || before.status === "degraded";
  return !was || before.connected_at !== now.connected_at || before.mailbox.address !== now.mailbox.address;
}

const connect = () => openWindow("connecting", "session/start-tickets", "/api/oauth/start", CANNOT_SIGN_IN);
const disconnect = () =>
  openWindow("disconnecting", "session/disconnect-tickets", "/api/disconnect/start", CANNOT_DISCONNECT);

// A ticket of this session opens a top-level window, which names whose mailbox it is about.
async function openWindow(view, tickets, address, otherwise) {
  notice("");
  try {
    const { ticket } = await call("POST", tickets, {});
    const form = document.getElementById("start");
    form.action = address;
    form.elements.ticket.value = ticket;
    form.submit(); // still within the click's activation, so it may open a window
    form.elements.ticket.value = "";
  } catch (problem) {
    explain(problem, otherwise);
    return;
  }
  const wasWaiting = waiting !== null;
  waiting = { for: view, before: waiting ? waiting.before : known, until: Date.now() + WAIT_FOR_MS };
  showConnection();
  if (!wasWaiting) await waitForConnection();
}

async function waitForConnection() {
  while (waiting) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (waiting && Date.now() > waiting.until) {
      stop(waiting.for === "connecting" ? "The sign-in was not finished. Nothing was changed." : "");
      return;
    }
    try {
      if (waiting) await look();
    } catch (problem) {
      if (problem.status === 401) explain(problem);
      // Anything else may pass: look again.
    }
  }
}

function stop(text) {
  waiting = null;
  showConnection();
  notice(text || "");
}

function explain(problem, otherwise) {
  if (problem.status === 401) {
    waiting = null;
    session = "";
    document.getElementById("chip").hidden = true;
    show("session_over");
  } else if (otherwise) {
    notice(otherwise);
  } else {
    show("unreachable");
  }
}

// A link's token arrives after the #, which no server or referrer sees, and leaves the address bar at once.
function takeToken() {
  linkToken = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
}

async function open() {
  show("opening");
  try {
    if (!session) {
      if (!linkToken) {
        show("link_unusable");
        return;
      }
      const opened = await call("POST", "session", { token: linkToken });
      session = opened.session_token;
      showNames(opened.user.display_name, opened.tenant.name);
    }
    await look();
  } catch (problem) {
    if (!session && problem.status >= 400 && problem.status < 429) show("link_unusable");
    else explain(problem);
  }
}

async function lookAgain() {
  if (document.visibilityState !== "visible" || !session || waiting) return;
  try {
    await look();
  } catch (problem) {
    if (problem.status === 401) explain(problem);
  }
}

const ACTIONS = { connect, disconnect, again: open, stop: () => stop() };
document.body.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-action]");
  if (!button || button.ariaBusy === "true") return;
  button.ariaBusy = "true"; // not disabled: that would take the focus away
  const done = ACTIONS[button.dataset.action]();
  setTimeout(() => { button.ariaBusy = "false"; }, 800); // a double click is one click
  await done;
});
document.addEventListener("visibilitychange", lookAgain);
document.body.classList.toggle("framed", window.self !== window.top);
takeToken();
open();
